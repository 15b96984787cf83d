/** The call card: shows a person the results of make_call, call_around, get_call, and get_transcript. */

class CallCard {
  #host = new Host();
  #consent = new CallConsent();
  #conversation = new Conversation(this.#host, (text) => this.#note(text));
  #watch = new CallWatch(this.#host, (result) => this.#receive(result), () => this.#showWatchFailure());
  #input = null; // the arguments of make_call or call_around, if this card shows a result of one of them
  #list = null; // ListAnswer
  #call = null; // CallAnswer; for a list, its last call (CandidateAnswer)
  #error = null; // ErrorAnswer
  #receivedAt = 0;
  #entries = null; // of TranscriptAnswer
  #isExpanded = false; // the conversation is shown
  #watchFailed = false;
  #isStopped = false; // the chat stopped waiting: a call may have been placed, but the card did not get its result
  #isPlacedHere = false; // the call was placed from this card
  #isDecided = false; // the user has said here that it is booked
  #isRedial = false; // the call that the card asks about repeats one that was placed
  #buttons = {};

  constructor() {
    // In this order, the most likely choice first, so that the first one that is shown is the primary one.
    const icons = { open: "widen", again: "phone", chat: "speech", check: "phone", next: "phone", stop: "slash", calendar: "calendar", conversation: "speech" };
    for (const [name, iconName] of Object.entries(icons)) {
      const press = (event) => this.#press(name, event.currentTarget);
      this.#buttons[name] = element("button", { type: "button", onclick: press }, icon(iconName), element("span"));
    }
    this.#buttons.conversation.setAttribute("aria-controls", "conversation");
    byId("choices").append(...Object.values(this.#buttons));
    this.#host.on("ui/notifications/tool-input", (params) => this.#receiveInput(params.arguments));
    this.#host.on("ui/notifications/tool-result", (result) => this.#receive(result));
    this.#host.on("ui/notifications/tool-cancelled", () => this.#showCanceled());
    setInterval(() => this.#tick(), 1000);
    openCard(this.#host, "kallyai-call", () => this.#show());
  }

  /** A key of STATES; "" for a transcript without its call. */
  get #state() {
    if (this.#error) return stateOfError(this.#error, Boolean(this.#input));
    if (this.#list) return this.#isDecided ? "list_answered" : stateOfList(this.#list);
    if (this.#call) return stateOfCall(this.#call);
    if (this.#entries) return "";
    if (this.#isStopped) return "unknown";
    return this.#input ? "placing" : "loading";
  }

  /** The submission, as far as the card knows it. */
  get #asked() {
    return { ...this.#call?.asked, ...this.#input };
  }

  get #number() {
    return phoneNumber(this.#call?.respondent_phone ?? this.#input?.respondent_phone);
  }

  /** Who is called; for a list that is not about one of its candidates, how many. */
  get #callee() {
    const count = candidateCount(this.#list, this.#input);
    if (count && !(this.#call && ABOUT_ONE.includes(this.#state))) return locale.text("list_name", { count });
    return oneLine(this.#call?.business_name ?? this.#input?.business_name) || this.#number || locale.text("call");
  }

  /** The appointment; without one, a list's task, or the callee of a call. */
  get #headline() {
    if (candidateCount(this.#list, this.#input)) return oneLine(this.#asked.task_description) || this.#callee;
    return (!this.#error && appointmentHeadline(this.#call, this.#asked)) || this.#callee;
  }

  get #id() {
    return (this.#list ?? this.#call)?.tracking_id ?? this.#call?.call_id;
  }

  #receiveInput(args) {
    const callees = typeof args?.respondent_phone === "string" || Array.isArray(args?.candidates);
    if (typeof args?.task_description === "string" && callees) this.#input = args;
    this.#show();
  }

  #showCanceled() {
    this.#isStopped = true;
    this.#show();
  }

  /** A result of make_call, call_around, get_call, or get_transcript. */
  #receive(result) {
    const data = result?.structuredContent ?? {};
    const before = this.#state;
    this.#watchFailed = false;
    if (!result.isError && Array.isArray(data.entries)) {
      [this.#entries, this.#isExpanded] = [data.entries, true];
      if (!this.#call && this.#host.can("serverTools")) this.#lookUp(data.call_id);
    } else if (!result.isError && typeof data.status === "string") {
      [this.#error, this.#isStopped, this.#receivedAt] = [null, false, performance.now()];
      if (isList(data)) this.#receiveList(data);
      else this.#call = data;
      this.#consent.close();
      if (data.status === "needs_confirmation" && this.#input) this.#askForConsent(data);
    } else {
      // An error without a structure leaves it open whether a call was placed.
      this.#error = typeof data.code === "string" ? data : { code: "", placed: this.#input ? "maybe" : undefined };
    }
    this.#follow(before);
    this.#show();
  }

  #receiveList(told) {
    const list = { calls: [], not_called: [], ...told }; // a list that nobody has agreed to has neither
    const last = list.calls.at(-1) ?? null;
    const isOther = last?.respondent_phone !== this.#call?.respondent_phone;
    [this.#list, this.#call] = [list, last];
    if (!isOther) return;
    [this.#entries, this.#isExpanded, this.#isDecided] = [null, false, false];
    if (list.calls.length > 1 && LIST_LIVE.includes(this.#state)) announce(locale.text("calling", { callee: this.#callee }));
  }

  #follow(before) {
    const live = ["in_progress", ...LIST_LIVE];
    if (live.includes(this.#state)) {
      if (this.#host.can("serverTools")) this.#watch.follow(this.#id);
      return;
    }
    this.#watch.stop();
    if (live.includes(before)) {
      const words = this.#list ? "list_ended" : "ended";
      announce(locale.text(words, { callee: this.#callee, outcome: locale.text(this.#state) }));
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
    else if (this.#call) this.#noteFailure(result);
  }

  #show() {
    const state = this.#state;
    const call = this.#call ?? {};
    const { icons, tone } = STATES[state] ?? STATES.unavailable;
    document.title = this.#callee;
    document.body.dataset.tone = tone;
    if (byId("disc").dataset.state !== state) byId("disc").replaceChildren(icon(...icons));
    byId("disc").dataset.state = state;
    setText("status", state && locale.text(state));
    setText("name", this.#headline);
    this.#facts();
    const isOpen = ["loading", "placing", "in_progress", ...LIST_LIVE].includes(state);
    setText("about", isOpen && !candidateCount(this.#list, this.#input) ? plain(this.#asked.task_description) : "");
    setText("said", this.#sentence(state));
    const isReported = !this.#error && !isOpen && !this.#list;
    byId("candidates").replaceChildren(...(this.#list ? candidateRows(this.#list, state, this.#asked) : []));
    byId("candidates").hidden = !this.#list || Boolean(this.#error);
    const report = reportOf(isReported ? call : null);
    setText("summary", report.summary);
    setText("steps", report.steps);
    for (const id of ["summary", "steps"]) {
      byId(id).parentElement.hidden = byId(id).hidden;
      byId(`${id}-title`).textContent = locale.text(id);
    }
    byId("report").hidden = byId("summary").hidden && byId("steps").hidden;
    this.#choices(state);
    byId("conversation").hidden = !(this.#entries && this.#isExpanded);
    if (this.#entries) this.#conversation.show(this.#entries, this.#callee);
    const technical = this.#list && !this.#error ? listFacts(this.#list) : technicalFacts(this.#call, this.#error, this.#number);
    byId("details").hidden = !technical.length;
    byId("details-title").textContent = locale.text("details");
    byId("details-facts").replaceChildren(...factList(technical));
  }

  #sentence(state) {
    if (this.#error) return errorSentence(this.#error, Boolean(this.#input));
    if (this.#isStopped && !this.#call) return locale.text("stopped_text");
    if (this.#list) return listSentence(state, this.#list);
    return state ? callSentence(state, this.#call ?? {}, this.#asked, this.#headline !== this.#callee) : "";
  }

  /** Who was called where the title is another one, which of a list, and how long the call has lasted so far. */
  #facts() {
    const isAboutOne = !this.#list || ABOUT_ONE.includes(this.#state);
    const [number, count] = [this.#list?.calls.length || 1, candidateCount(this.#list)];
    const facts = [
      this.#headline !== this.#callee && element("bdi", {}, this.#callee),
      this.#list && isAboutOne && locale.text("list_position", { number, count }),
      this.#state === "in_progress" && Number.isFinite(this.#call.elapsed_seconds) && element("span", { id: "time", role: "timer" }),
    ].filter(Boolean);
    byId("facts").replaceChildren(...facts.map((fact) => element("span", { class: "fact" }, fact)));
    this.#tick();
  }

  /** The time since the call was placed: shown each second, announced to screen readers each minute. */
  #tick() {
    if (this.#state !== "in_progress" || !byId("time")) return;
    const elapsed = (this.#call.elapsed_seconds ?? 0) + (performance.now() - this.#receivedAt) / 1000;
    const said = locale.text("so_far", { time: duration(elapsed) });
    byId("time").textContent = said;
    if (elapsed >= 60 && Math.floor(elapsed) % 60 === 0) announce(`${locale.text("in_progress")}: ${said}`);
  }

  #choices(state) {
    const tools = this.#host.can("serverTools");
    const places = tools && !READ_ONLY;
    const isRetryable = state !== "unknown" && (this.#error ?? this.#call)?.retryable === true;
    const ofCall = this.#list && this.#call ? stateOfCall(this.#call) : state;
    const isBooked = ["booked", "booked_other_time"].includes(ofCall);
    const goesOn = places && this.#input && this.#list && !this.#error && canGoOn(state, this.#list);
    const isUnknown = state === "unknown" || (state === "list_unknown" && !goesOn);
    const shown = {
      calendar: tools && isBooked && this.#host.can("downloadFile") && this.#call.call_id,
      conversation: this.#entries || (tools && this.#call?.call_id && WITH_CONVERSATION.includes(ofCall)),
      check: tools && this.#id && (isUnknown || this.#watchFailed || this.#call?.calendar_checked === false),
      again: places && isRetryable && this.#input && !this.#consent.isOpen,
      open: this.#host.can("openLinks") && linkOf(this.#error),
      next: goesOn,
      stop: places && (state === "list_in_progress" || (state === "list_needs_decision" && this.#list.not_called.length > 0)),
      chat: !READ_ONLY && this.#host.can("message") && isRetryable && !this.#error && !this.#input && this.#call?.call_id,
    };
    const labels = {
      calendar: "calendar",
      conversation: this.#isExpanded && this.#entries ? "hide_conversation" : "conversation",
      check: "check_again",
      again: this.#error ? "try_again" : "call_again",
      open: this.#error?.link ? "sign_in" : "upgrade",
      next: state === "list_needs_decision" ? "list_next" : "try_again",
      stop: state === "list_needs_decision" ? "list_booked_stop" : "list_stop",
      chat: "ask_again",
    };
    const [following] = this.#list?.not_called ?? [];
    const values = { callee: oneLine(following?.business_name) || phoneNumber(following?.respondent_phone) };
    for (const [name, button] of Object.entries(this.#buttons)) {
      button.hidden = !shown[name];
      button.lastChild.textContent = locale.text(labels[name], values);
    }
    this.#buttons.conversation.setAttribute("aria-expanded", String(Boolean(this.#isExpanded && this.#entries)));
    const primary = ["open", "again", "chat", "check", "next", "calendar"].find((name) => shown[name]);
    for (const [name, button] of Object.entries(this.#buttons)) button.classList.toggle("primary", name === primary);
  }

  async #press(name, button) {
    if (button.getAttribute("aria-disabled") === "true") return;
    const actions = {
      conversation: () => this.#toggleConversation(),
      calendar: () => this.#saveCalendar(),
      again: () => this.#askToCallAgain(),
      chat: () => this.#askChat(),
      check: () => this.#lookUp(this.#id),
      open: () => this.#openLink(linkOf(this.#error)),
      next: () => this.#goOn(),
      stop: () => this.#stop(),
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

  async #saveCalendar() {
    const result = await this.#useTool("get_calendar_event", { as_file: true });
    if (!result) return;
    const { file, calendar_uri: uri, summary } = result.structuredContent ?? {};
    if (!file) return this.#note(locale.text("calendar_none"));
    const text = file.replaceAll("\n", "\r\n"); // RFC 5545, 3.1
    const contents = [{ type: "resource", resource: { uri, mimeType: "text/calendar", text } }];
    const saved = await this.#host.request("ui/download-file", { contents }).catch(() => ({ isError: true }));
    const event = oneLine(summary) || locale.text("appointment");
    this.#note(locale.text(saved.isError ? "calendar_kept" : "calendar_done", { event }));
  }

  /** The result of a tool about this call; null if there is none: then the notice says why. */
  async #useTool(tool, more) {
    const result = await this.#host.callTool(tool, { call_id: this.#call.call_id, ...more }).catch(() => null);
    if (result && !result.isError) return result;
    this.#noteFailure(result);
    return null;
  }

  async #openLink(url) {
    const opened = await this.#host.request("ui/open-link", { url }).catch(() => ({ isError: true }));
    if (opened.isError) this.#note(locale.text("denied"));
  }

  async #askChat() {
    // Only the card's own text and the number: the model must not get a text from outside as the user's words.
    const text = locale.text("ask_message", { number: this.#number, id: identifier(this.#call.call_id) });
    const message = { role: "user", content: [{ type: "text", text }] };
    const sent = await this.#host.request("ui/message", message).catch(() => ({ isError: true }));
    this.#note(locale.text(sent.isError ? "not_asked" : "asked"));
  }

  /** Lets the list go on with its next candidate, as the user wants. */
  async #goOn() {
    const { confirmation: _, continue_after: __, ...input } = this.#input;
    this.#isPlacedHere = true;
    this.#input = { ...input, continue_after: this.#call?.call_id ?? this.#call?.tracking_id };
    const result = await this.#host.callTool("call_around", { ...this.#input, wait_seconds: 0 }).catch(() => null);
    if (!result) return this.#note(locale.text("denied"));
    this.#receive(result);
    byId("heading").focus();
    return this.#updateModel();
  }

  /** Stops the list, as the user wants. One that waits for a decision has stopped already; the model learns the decision. */
  async #stop() {
    if (this.#state === "list_needs_decision") {
      this.#isDecided = true;
      this.#show();
      byId("heading").focus();
      this.#tellModel("On the call card the user decided that it is booked. Call nobody else on this list.");
      return announce(locale.text("list_answered_text"));
    }
    const result = await this.#host.callTool("cancel_call", { call_id: this.#id }).catch(() => null);
    if (!result || result.isError) return this.#noteFailure(result);
    return this.#lookUp(this.#id);
  }

  /** The question before a call, or before the calls of a list. */
  get #question() {
    const count = candidateCount(null, this.#input);
    if (count) return locale.text("ask_list", { count });
    return locale.text(this.#isRedial || this.#input.redial ? "ask_redial" : "ask_call", { callee: this.#callee });
  }

  /** Shows the question, because the server asks for the user's consent. */
  #askForConsent(call) {
    const left = call.not_called ?? [];
    const asked = left.length ? { ...this.#input, candidates: left } : this.#input;
    const question = left.length ? locale.text("ask_list_on", { count: left.length }) : this.#question;
    const yes = () => this.#placeCall({ confirmation: call.confirmation });
    const answers = this.#host.can("serverTools") && !READ_ONLY ? { yes, no: () => this.#decline() } : null;
    this.#consent.ask(call, asked, question, answers);
  }

  /** Shows the question, because the user wants to call again. */
  #askToCallAgain() {
    this.#isRedial ||= !this.#error;
    const no = () => {
      this.#show();
      this.#buttons.again.focus();
    };
    this.#consent.ask({}, this.#input, this.#question, { yes: () => this.#placeCall({}), no });
    this.#show();
    byId("consent-title").focus();
  }

  #decline() {
    [this.#call, this.#list, this.#error] = [null, null, { code: "declined_here", retryable: true, placed: "no" }];
    this.#show();
    byId("heading").focus();
    this.#tellModel("On the call card the user chose not to call. Do not place this call.");
  }

  async #placeCall(confirmation) {
    const { confirmation: _, ...input } = this.#input; // an earlier one is no longer valid
    const args = { ...input, ...confirmation, wait_seconds: 0, ...(this.#isRedial ? { redial: true } : {}) };
    [this.#call, this.#list, this.#error, this.#entries, this.#isExpanded, this.#isPlacedHere] = [null, null, null, null, false, true];
    this.#show();
    byId("heading").focus();
    announce(locale.text("calling", { callee: this.#callee }));
    const result = await this.#host.callTool(this.#input.candidates ? "call_around" : "make_call", args).catch(() => ({ isError: true }));
    this.#receive(result);
    if (this.#state === "needs_confirmation") byId("consent-title").focus();
    else this.#updateModel();
  }

  /** Tells the model about a call that was placed from the card, without any text from outside. */
  #updateModel() {
    if (!this.#isPlacedHere || !(this.#list ?? this.#call)) return;
    this.#tellModel(
      `From the call card the user had the call placed, on purpose: ${this.#state}, id ${identifier(this.#id)}. ` +
        "get_call has more. Do not place it again.",
    );
  }

  #tellModel(text) {
    if (!this.#host.can("updateModelContext")) return;
    this.#host.request("ui/update-model-context", { content: [{ type: "text", text }] }).catch(() => {});
  }

  /** Shows why a tool that the card called gave no result; `result` is null if the host did not call the tool. */
  #noteFailure(result) {
    this.#note(result ? errorSentence(result.structuredContent ?? {}, false) : locale.text("denied"));
  }

  #note(text) {
    byId("notice").textContent = text;
  }
}

/** The web page on which the user can remove the cause of an error (sign in, upgrade); "" if there is none. */
function linkOf(error) {
  const link = error?.link ?? error?.upgrade_url;
  return /^https?:\/\//.test(link ?? "") ? link : "";
}

function quoted(text) {
  return typeof text === "string" && text.trim() ? locale.text("quotation", { text: plain(text, LIMIT.page) }) : "";
}

function identifier(id) {
  return /^[\w-]{1,80}$/.test(id ?? "") ? id : "unknown";
}

new CallCard();
