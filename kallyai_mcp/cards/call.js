/** The call card: what make_call, get_call and get_transcript show a person. */

/** Each status with its picture and its tone; the word beside it is in the words table under the same name. */
const STATUSES = {
  placing: { icons: ["phone", "waves"], tone: "live" },
  needs_confirmation: { icons: ["question"], tone: "warn" },
  in_progress: { icons: ["phone", "waves"], tone: "live" },
  success: { icons: ["tick"], tone: "good" },
  no_answer: { icons: ["phone", "missed"], tone: "warn" },
  busy: { icons: ["bars"], tone: "warn" },
  voicemail: { icons: ["tape"], tone: "warn" },
  failed: { icons: ["broken"], tone: "bad" },
  cancelled: { icons: ["slash"], tone: "quiet" },
  terminated: { icons: ["slash"], tone: "bad" },
  unknown: { icons: ["question"], tone: "warn" },
  other: { icons: ["question"], tone: "quiet" },
  refused: { icons: ["cross"], tone: "bad" },
};
const SILENT = ["placing", "needs_confirmation", "in_progress", "unknown", "no_answer", "busy", "cancelled", "refused"];

class CallCard {
  #host = new Host();
  #again = new RingAgain();
  #watch = new Watch(this.#host, (result) => this.#take(result), () => this.#lose());
  #input = null; // make_call's arguments, where this card is make_call's
  #call = null; // CallAnswer
  #heardAt = 0;
  #entries = null; // of TranscriptAnswer
  #trouble = "";
  #preview = ""; // what the user is to read before they agree
  #redial = false; // the call that is asked for here is one made before
  #expanded = false;
  #all = false;
  #lost = false;
  #sure = true; // that nothing rang without our having heard of it
  #ours = false; // placed from this card
  #buttons = {};

  constructor() {
    const pictures = { calendar: "calendar", conversation: "speech", again: "phone", chat: "speech", look: "phone" };
    for (const [name, picture] of Object.entries(pictures)) {
      const press = (event) => this.#press(name, event.currentTarget);
      this.#buttons[name] = el("button", { type: "button", onclick: press }, icon(picture), el("span"));
    }
    this.#buttons.conversation.setAttribute("aria-controls", "conversation");
    this.#host.on("ui/notifications/tool-input", (params) => this.#given(params.arguments));
    this.#host.on("ui/notifications/tool-result", (result) => this.#take(result));
    this.#host.on("ui/notifications/tool-cancelled", () => this.#stopped());
    setInterval(() => this.#tick(), 1000);
    open(this.#host, "kallyai-call", () => this.#show());
  }

  get #status() {
    if (!this.#call) return this.#trouble ? (this.#sure ? "refused" : "unknown") : this.#entries ? "other" : "placing";
    return Object.hasOwn(STATUSES, this.#call.status) ? this.#call.status : "other";
  }

  get #number() {
    return phone(this.#call?.respondent_phone ?? this.#input?.respondent_phone);
  }

  get #party() {
    return line(this.#call?.business_name ?? this.#input?.business_name) || this.#number || voice.say("call");
  }

  get #id() {
    return this.#call?.call_id ?? this.#call?.tracking_id;
  }

  #given(args) {
    if (typeof args?.task_description === "string" && typeof args?.respondent_phone === "string") this.#input = args;
    this.#show();
  }

  #stopped() {
    if (!this.#call) this.#trouble = voice.say("stopped_text");
    this.#sure = false;
    this.#show();
  }

  /** A result of make_call, get_call or get_transcript. */
  #take(result) {
    const data = result?.structuredContent ?? {};
    const before = this.#status;
    this.#lost = false;
    if (!result.isError && Array.isArray(data.entries)) {
      [this.#entries, this.#expanded, this.#all] = [data.entries, true, false];
      if (!this.#call && this.#host.can("serverTools")) this.#look(data.call_id);
    } else if (!result.isError && typeof data.status === "string") {
      this.#call = data;
      this.#trouble = "";
      // Around the preview, the first and the last line are for an agent.
      this.#preview = data.status === "needs_confirmation" ? textOf(result).split("\n").slice(1, -1).join("\n") : "";
      this.#sure = true;
      this.#heardAt = performance.now();
    } else {
      this.#trouble = textOf(result) || voice.say("uncertain");
      // make_call's errors say first whether anything was dialled.
      if (this.#input && !this.#call) this.#sure = this.#trouble.startsWith("Not called");
    }
    this.#follow(before);
    this.#show();
  }

  #follow(before) {
    if (this.#status === "in_progress") {
      if (this.#host.can("serverTools")) this.#watch.follow(this.#call.tracking_id ?? this.#call.call_id);
      return;
    }
    this.#watch.stop();
    if (before === "in_progress") {
      announce(voice.say("ended", { party: this.#party, status: this.#word }));
      this.#tell();
    }
  }

  #lose() {
    this.#lost = true;
    this.#show();
  }

  async #look(id) {
    const result = await this.#host.callTool("get_call", { call_id: id, wait_seconds: 0 }).catch(() => null);
    if (result && !result.isError) this.#take(result);
    else if (this.#call) this.#note(result ? textOf(result) : voice.say("denied"));
  }

  get #word() {
    return voice.say(this.#status, { status: line(this.#call?.status, 40) });
  }

  #show() {
    const status = this.#status;
    const call = this.#call ?? {};
    const known = status !== "other" || this.#call;
    const { icons, tone } = STATUSES[status];
    document.title = this.#party;
    document.body.dataset.tone = tone;
    if (byId("disc").dataset.status !== status) byId("disc").replaceChildren(icon(...icons));
    byId("disc").dataset.status = status;
    put("status", known ? this.#word : "");
    put("name", this.#party);
    this.#facts(call);
    const ownWords = `${status}_text`;
    const said = ownWords in WORDS.en ? voice.say(ownWords) : "";
    put("said", said || this.#preview || plain(call.highlights, LIMIT.page));
    put("summary", said ? plain(call.highlights, LIMIT.page) : "");
    put("trouble", this.#trouble);
    put("next-title", voice.say("next"));
    put("steps", plain(call.next_steps, LIMIT.page));
    byId("next").hidden = !call.next_steps;
    this.#choices(status);
    byId("conversation").hidden = !(this.#entries && this.#expanded);
    if (this.#entries) showConversation(this.#entries, this.#party, this.#all, () => this.#showAll());
  }

  #facts(call) {
    const lasted = Number.isFinite(call.duration_seconds) && lasting(call.duration_seconds);
    const credits = Number.isFinite(call.credits_used) && voice.count("credits", call.credits_used);
    const facts = [
      this.#number && this.#number !== this.#party && el("bdi", { dir: "ltr" }, this.#number),
      call.created_at && voice.moment(call.created_at),
      this.#status === "in_progress" && el("span", { id: "time", role: "timer" }),
      this.#status !== "in_progress" && lasted,
      credits,
    ].filter(Boolean);
    byId("facts").replaceChildren(...facts.map((fact) => el("span", { class: "fact" }, fact)));
    this.#tick();
  }

  /** The time running while it rings: shown each second, told to screen readers each minute. */
  #tick() {
    if (this.#status !== "in_progress" || document.hidden) return;
    const elapsed = (Number(this.#call.elapsed_seconds) || 0) + (performance.now() - this.#heardAt) / 1000;
    const said = voice.say("so_far", { time: lasting(elapsed) });
    byId("time").textContent = said;
    if (elapsed >= 60 && Math.floor(elapsed) % 60 === 0) announce(`${this.#word}: ${said}`);
  }

  #choices(status) {
    const tools = this.#host.can("serverTools");
    const ended = this.#sure && !["placing", "in_progress", "unknown"].includes(status) && this.#number;
    const booked = !this.#input || this.#input.task_category !== "general" || this.#input.appointment_date;
    const shown = {
      conversation: this.#entries || (tools && this.#call?.call_id && !SILENT.includes(status)),
      calendar: tools && this.#host.can("downloadFile") && status === "success" && this.#call.call_id && booked,
      again: tools && ended && this.#input,
      chat: this.#host.can("message") && ended && !this.#input && this.#call?.call_id,
      look: tools && this.#id && (status === "unknown" || this.#lost),
    };
    const labels = {
      conversation: this.#expanded && this.#entries ? "hide_conversation" : "show_conversation",
      calendar: "calendar",
      again: status === "needs_confirmation" ? "ring" : "ring_again",
      chat: "ask_again",
      look: "look_again",
    };
    for (const [name, button] of Object.entries(this.#buttons)) {
      button.hidden = !shown[name];
      button.lastChild.textContent = voice.say(labels[name]);
    }
    this.#order(status === "success" ? ["calendar", "conversation", "again", "chat"] : ["look", "again", "chat", "conversation"]);
    this.#buttons.conversation.setAttribute("aria-expanded", String(Boolean(this.#expanded && this.#entries)));
    this.#buttons.again.classList.toggle("primary", status !== "success");
    this.#buttons.calendar.classList.toggle("primary", status === "success");
  }

  /** Puts the likeliest first. Buttons that stand right are left alone: moving one takes its focus away. */
  #order(names) {
    const wanted = names.map((name) => this.#buttons[name]);
    const stand = [...byId("choices").children];
    if (wanted.some((button, index) => button !== stand[index])) byId("choices").replaceChildren(...wanted);
  }

  async #press(name, button) {
    if (button.getAttribute("aria-disabled") === "true") return;
    const deeds = {
      conversation: () => this.#toggle(),
      calendar: () => this.#calendar(),
      again: () => this.#askToRing(),
      chat: () => this.#chat(),
      look: () => this.#look(this.#call.tracking_id ?? this.#call.call_id),
    };
    this.#note("");
    // Not `disabled`, which would take the focus away from whoever uses the keyboard.
    button.setAttribute("aria-disabled", "true");
    await deeds[name]();
    button.removeAttribute("aria-disabled");
  }

  async #toggle() {
    if (this.#entries) {
      this.#expanded = !this.#expanded;
      return this.#show();
    }
    const result = await this.#ask("get_transcript");
    if (result) this.#take(result);
  }

  #showAll() {
    this.#all = true;
    this.#show();
    byId("turns").children[FIRST_TURNS].focus();
  }

  async #calendar() {
    const result = await this.#ask("get_calendar_event");
    if (!result) return;
    const file = result.content?.find((block) => block?.type === "resource");
    if (!file) return this.#note(voice.say("calendar_none"));
    const saved = await this.#host.request("ui/download-file", { contents: [file] }).catch(() => ({ isError: true }));
    const event = line(result.structuredContent?.summary) || voice.say("appointment");
    this.#note(voice.say(saved.isError ? "calendar_kept" : "calendar_done", { event }));
  }

  /** The result of a tool about this call; when there is none, the notice says why. */
  async #ask(tool) {
    const result = await this.#host.callTool(tool, { call_id: this.#call.call_id }).catch(() => null);
    if (result && !result.isError) return result;
    this.#note(result ? textOf(result) : voice.say("denied"));
    return null;
  }

  async #chat() {
    // Ours and the number alone: what others wrote must not speak to the model in the user's name.
    const text = voice.say("ask_message", { number: this.#number, id: identifier(this.#id) });
    const message = { role: "user", content: [{ type: "text", text }] };
    const sent = await this.#host.request("ui/message", message).catch(() => ({ isError: true }));
    this.#note(voice.say(sent.isError ? "not_asked" : "asked"));
  }

  #askToRing() {
    const confirmed = this.#status === "needs_confirmation";
    this.#redial ||= !confirmed || this.#input.redial === true;
    const title = voice.say(this.#redial ? "dialog_title" : "dialog_first", { party: this.#party });
    const confirmation = confirmed ? { confirmation: this.#call.confirmation } : {};
    this.#again.ask(this.#input, title, this.#preview, () => this.#ring(confirmation));
  }

  async #ring(confirmation) {
    const { confirmation: _, ...input } = this.#input; // one of before fits no more
    const args = { ...input, ...confirmation, wait_seconds: 0, ...(this.#redial ? { redial: true } : {}) };
    [this.#call, this.#entries, this.#trouble, this.#preview] = [null, null, "", ""];
    [this.#expanded, this.#all] = [false, false];
    [this.#sure, this.#ours] = [false, true];
    this.#show();
    byId("name").focus();
    announce(voice.say("ringing", { party: this.#party }));
    const result = await this.#host.callTool("make_call", args).catch(() => null);
    if (result) {
      this.#take(result);
      if (this.#status === "needs_confirmation") this.#askToRing();
      else this.#tell();
    } else {
      this.#trouble = voice.say("uncertain");
      this.#show();
    }
  }

  /** Lets the model know of a call placed from the card; in our words and names alone. */
  #tell() {
    if (!this.#ours || !this.#call || !this.#host.can("updateModelContext")) return;
    const text =
      `From the call card the user had the call placed, on purpose: status ${this.#status}, ` +
      `id ${identifier(this.#call.tracking_id ?? this.#id)}. get_call has more. Don't place it again.`;
    this.#host.request("ui/update-model-context", { content: [{ type: "text", text }] }).catch(() => {});
  }

  #note(text) {
    byId("notice").textContent = text;
  }
}

function identifier(id) {
  return /^[\w-]{1,80}$/.test(id ?? "") ? id : "unknown";
}

new CallCard();
