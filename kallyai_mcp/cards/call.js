/** The call card: shows a person the results of make_call, get_call, and get_transcript. */

/** Each status with its icons and its tone; its text has the same name in the texts. */
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
const WITHOUT_CONVERSATION = ["placing", "needs_confirmation", "in_progress", "unknown", "no_answer", "busy", "cancelled", "refused"];

class CallCard {
  #host = new Host();
  #dialog = new CallDialog();
  #watch = new CallWatch(this.#host, (result) => this.#receive(result), () => this.#showWatchFailure());
  #input = null; // make_call's arguments, if this card shows a result of make_call
  #call = null; // CallAnswer
  #receivedAt = 0;
  #entries = null; // of TranscriptAnswer
  #error = "";
  #preview = ""; // what the user reads before they agree
  #redial = false; // the next call repeats one that was placed
  #isExpanded = false; // the conversation is shown
  #isFull = false; // the whole conversation is shown
  #watchFailed = false;
  #isCertain = true; // no call can have been placed whose result is missing here
  #isPlacedHere = false; // the call was placed from this card
  #buttons = {};

  constructor() {
    const icons = { calendar: "calendar", conversation: "speech", again: "phone", chat: "speech", look: "phone" };
    for (const [name, iconName] of Object.entries(icons)) {
      const press = (event) => this.#press(name, event.currentTarget);
      this.#buttons[name] = element("button", { type: "button", onclick: press }, icon(iconName), element("span"));
    }
    this.#buttons.conversation.setAttribute("aria-controls", "conversation");
    this.#host.on("ui/notifications/tool-input", (params) => this.#receiveInput(params.arguments));
    this.#host.on("ui/notifications/tool-result", (result) => this.#receive(result));
    this.#host.on("ui/notifications/tool-cancelled", () => this.#showCanceled());
    setInterval(() => this.#tick(), 1000);
    openCard(this.#host, "kallyai-call", () => this.#show());
  }

  get #status() {
    if (!this.#call) return this.#error ? (this.#isCertain ? "refused" : "unknown") : this.#entries ? "other" : "placing";
    return Object.hasOwn(STATUSES, this.#call.status) ? this.#call.status : "other";
  }

  get #number() {
    return phoneNumber(this.#call?.respondent_phone ?? this.#input?.respondent_phone);
  }

  get #callee() {
    return oneLine(this.#call?.business_name ?? this.#input?.business_name) || this.#number || locale.text("call");
  }

  get #id() {
    return this.#call?.call_id ?? this.#call?.tracking_id;
  }

  #receiveInput(args) {
    if (typeof args?.task_description === "string" && typeof args?.respondent_phone === "string") this.#input = args;
    this.#show();
  }

  #showCanceled() {
    if (!this.#call) this.#error = locale.text("stopped_text");
    this.#isCertain = false;
    this.#show();
  }

  /** A result of make_call, get_call, or get_transcript. */
  #receive(result) {
    const data = result?.structuredContent ?? {};
    const before = this.#status;
    this.#watchFailed = false;
    if (!result.isError && Array.isArray(data.entries)) {
      [this.#entries, this.#isExpanded, this.#isFull] = [data.entries, true, false];
      if (!this.#call && this.#host.can("serverTools")) this.#lookUp(data.call_id);
    } else if (!result.isError && typeof data.status === "string") {
      this.#call = data;
      this.#error = "";
      // The first and the last line, around the preview, are for the agent.
      this.#preview = data.status === "needs_confirmation" ? textOf(result).split("\n").slice(1, -1).join("\n") : "";
      this.#isCertain = true;
      this.#receivedAt = performance.now();
    } else {
      this.#error = textOf(result) || locale.text("uncertain");
      // An error of make_call says first whether a call was placed.
      if (this.#input && !this.#call) this.#isCertain = this.#error.startsWith("Not called");
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
      announce(locale.text("ended", { callee: this.#callee, status: this.#statusText }));
      this.#updateModel();
    }
  }

  #showWatchFailure() {
    this.#watchFailed = true;
    this.#show();
  }

  async #lookUp(id) {
    const result = await this.#host.callTool("get_call", { call_id: id, wait_seconds: 0 }).catch(() => null);
    if (result && !result.isError) this.#receive(result);
    else if (this.#call) this.#note(result ? textOf(result) : locale.text("denied"));
  }

  get #statusText() {
    return locale.text(this.#status, { status: oneLine(this.#call?.status, 40) });
  }

  #show() {
    const status = this.#status;
    const call = this.#call ?? {};
    const known = status !== "other" || this.#call;
    const { icons, tone } = STATUSES[status];
    document.title = this.#callee;
    document.body.dataset.tone = tone;
    if (byId("disc").dataset.status !== status) byId("disc").replaceChildren(icon(...icons));
    byId("disc").dataset.status = status;
    setText("status", known ? this.#statusText : "");
    setText("name", this.#callee);
    this.#facts(call);
    const textKey = `${status}_text`;
    const said = textKey in TEXTS.en ? locale.text(textKey) : "";
    setText("said", said || this.#preview || plain(call.highlights, LIMIT.page));
    setText("summary", said ? plain(call.highlights, LIMIT.page) : "");
    setText("error", this.#error);
    setText("next-title", locale.text("next"));
    setText("steps", plain(call.next_steps, LIMIT.page));
    byId("next").hidden = !call.next_steps;
    this.#choices(status);
    byId("conversation").hidden = !(this.#entries && this.#isExpanded);
    if (this.#entries) showConversation(this.#entries, this.#callee, this.#isFull, () => this.#showAll());
  }

  #facts(call) {
    const lasted = Number.isFinite(call.duration_seconds) && duration(call.duration_seconds);
    const credits = Number.isFinite(call.credits_used) && locale.plural("credits", call.credits_used);
    const facts = [
      this.#number && this.#number !== this.#callee && element("bdi", { dir: "ltr" }, this.#number),
      call.created_at && locale.moment(call.created_at),
      this.#status === "in_progress" && element("span", { id: "time", role: "timer" }),
      this.#status !== "in_progress" && lasted,
      credits,
    ].filter(Boolean);
    byId("facts").replaceChildren(...facts.map((fact) => element("span", { class: "fact" }, fact)));
    this.#tick();
  }

  /** The time since the call was placed: shown each second, announced to screen readers each minute. */
  #tick() {
    if (this.#status !== "in_progress" || document.hidden) return;
    const elapsed = (Number(this.#call.elapsed_seconds) || 0) + (performance.now() - this.#receivedAt) / 1000;
    const said = locale.text("so_far", { time: duration(elapsed) });
    byId("time").textContent = said;
    if (elapsed >= 60 && Math.floor(elapsed) % 60 === 0) announce(`${this.#statusText}: ${said}`);
  }

  #choices(status) {
    const tools = this.#host.can("serverTools");
    const ended = this.#isCertain && !["placing", "in_progress", "unknown"].includes(status) && this.#number;
    const mayBeBooked = !this.#input || this.#input.task_category !== "general" || this.#input.appointment_date;
    const shown = {
      conversation: this.#entries || (tools && this.#call?.call_id && !WITHOUT_CONVERSATION.includes(status)),
      calendar: tools && this.#host.can("downloadFile") && status === "success" && this.#call.call_id && mayBeBooked,
      again: tools && ended && this.#input,
      chat: this.#host.can("message") && ended && !this.#input && this.#call?.call_id,
      look: tools && this.#id && (status === "unknown" || this.#watchFailed),
    };
    const labels = {
      conversation: this.#isExpanded && this.#entries ? "hide_conversation" : "show_conversation",
      calendar: "calendar",
      again: status === "needs_confirmation" ? "call_first" : "call_again",
      chat: "ask_again",
      look: "look_again",
    };
    for (const [name, button] of Object.entries(this.#buttons)) {
      button.hidden = !shown[name];
      button.lastChild.textContent = locale.text(labels[name]);
    }
    this.#order(status === "success" ? ["calendar", "conversation", "again", "chat"] : ["look", "again", "chat", "conversation"]);
    this.#buttons.conversation.setAttribute("aria-expanded", String(Boolean(this.#isExpanded && this.#entries)));
    this.#buttons.again.classList.toggle("primary", status !== "success");
    this.#buttons.calendar.classList.toggle("primary", status === "success");
  }

  /** Puts the most likely choice first. Buttons in the right place are not moved, since a moved button loses the focus. */
  #order(names) {
    const wanted = names.map((name) => this.#buttons[name]);
    const present = [...byId("choices").children];
    if (wanted.some((button, index) => button !== present[index])) byId("choices").replaceChildren(...wanted);
  }

  async #press(name, button) {
    if (button.getAttribute("aria-disabled") === "true") return;
    const actions = {
      conversation: () => this.#toggleConversation(),
      calendar: () => this.#saveCalendar(),
      again: () => this.#confirmCall(),
      chat: () => this.#askChat(),
      look: () => this.#lookUp(this.#call.tracking_id ?? this.#call.call_id),
    };
    this.#note("");
    // Not `disabled`, which would take the focus away from a keyboard user.
    button.setAttribute("aria-disabled", "true");
    await actions[name]();
    button.removeAttribute("aria-disabled");
  }

  async #toggleConversation() {
    if (this.#entries) {
      this.#isExpanded = !this.#isExpanded;
      return this.#show();
    }
    const result = await this.#useTool("get_transcript");
    if (result) this.#receive(result);
  }

  #showAll() {
    this.#isFull = true;
    this.#show();
    byId("turns").children[FIRST_TURNS].focus();
  }

  async #saveCalendar() {
    const result = await this.#useTool("get_calendar_event");
    if (!result) return;
    const file = result.content?.find((block) => block?.type === "resource");
    if (!file) return this.#note(locale.text("calendar_none"));
    const saved = await this.#host.request("ui/download-file", { contents: [file] }).catch(() => ({ isError: true }));
    const event = oneLine(result.structuredContent?.summary) || locale.text("appointment");
    this.#note(locale.text(saved.isError ? "calendar_kept" : "calendar_done", { event }));
  }

  /** The result of a tool about this call; without one, the notice says why. */
  async #useTool(tool) {
    const result = await this.#host.callTool(tool, { call_id: this.#call.call_id }).catch(() => null);
    if (result && !result.isError) return result;
    this.#note(result ? textOf(result) : locale.text("denied"));
    return null;
  }

  async #askChat() {
    // Only our text and the number: text from outside must not reach the model as the user's words.
    const text = locale.text("ask_message", { number: this.#number, id: identifier(this.#id) });
    const message = { role: "user", content: [{ type: "text", text }] };
    const sent = await this.#host.request("ui/message", message).catch(() => ({ isError: true }));
    this.#note(locale.text(sent.isError ? "not_asked" : "asked"));
  }

  #confirmCall() {
    const isConfirmed = this.#status === "needs_confirmation";
    this.#redial ||= !isConfirmed || this.#input.redial === true;
    const title = locale.text(this.#redial ? "dialog_title" : "dialog_first", { callee: this.#callee });
    const confirmation = isConfirmed ? { confirmation: this.#call.confirmation } : {};
    this.#dialog.ask(this.#input, title, this.#preview, () => this.#placeCall(confirmation));
  }

  async #placeCall(confirmation) {
    const { confirmation: _, ...input } = this.#input; // an earlier one is no longer valid
    const args = { ...input, ...confirmation, wait_seconds: 0, ...(this.#redial ? { redial: true } : {}) };
    [this.#call, this.#entries, this.#error, this.#preview] = [null, null, "", ""];
    [this.#isExpanded, this.#isFull] = [false, false];
    [this.#isCertain, this.#isPlacedHere] = [false, true];
    this.#show();
    byId("name").focus();
    announce(locale.text("calling", { callee: this.#callee }));
    const result = await this.#host.callTool("make_call", args).catch(() => null);
    if (result) {
      this.#receive(result);
      if (this.#status === "needs_confirmation") this.#confirmCall();
      else this.#updateModel();
    } else {
      this.#error = locale.text("uncertain");
      this.#show();
    }
  }

  /** Tells the model about a call placed from the card, in our words only. */
  #updateModel() {
    if (!this.#isPlacedHere || !this.#call || !this.#host.can("updateModelContext")) return;
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
