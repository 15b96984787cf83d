/** The call card: shows a person the results of make_call, call_around, get_call, and get_transcript.
 *
 * It keeps what the card knows, shows it after each change, and does what the person chooses.
 */

class CallCard {
  #host = new Host();
  #card = START;
  #page = new CallPage(this.#host, {
    choice: (name, button) => this.#choose(name, button),
    yes: () => this.#agree(),
    no: () => this.#decline(),
    quote: (time) => this.#showQuote(time),
  });
  #watch = new CallWatch(this.#host, (result) => this.#receive(result), () => this.#know(afterWatchFailed(this.#card)));

  constructor() {
    this.#host.on("ui/notifications/tool-input", (params) => this.#know(afterInput(this.#card, params.arguments, performance.now())));
    this.#host.on("ui/notifications/tool-result", (result) => this.#receive(result));
    this.#host.on("ui/notifications/tool-cancelled", () => this.#know(afterCanceled(this.#card)));
    openCard(this.#host, "kallyai-call", () => this.#show());
  }

  /** Takes what the card knows now: shows it, says what is new, and follows a call in progress. */
  #know(card) {
    const before = this.#card;
    this.#card = card;
    const news = newsOf(before, card);
    if (news) announce(news);
    if (!isLive(card)) this.#watch.stop();
    else if (this.#host.can("serverTools")) this.#watch.follow(idOf(card));
    if (isLive(before) && !isLive(card)) this.#tellModel(messageForModel(card));
    this.#show();
  }

  #show() {
    this.#page.show(shown(this.#card, this.#allowed()));
  }

  #allowed() {
    const tools = this.#host.can("serverTools");
    return {
      tools,
      places: tools && !READ_ONLY,
      downloads: this.#host.can("downloadFile"),
      links: this.#host.can("openLinks"),
      messages: this.#host.can("message") && !READ_ONLY,
    };
  }

  #receive(result) {
    this.#know(afterResult(this.#card, result, performance.now()));
    const id = result?.structuredContent?.call_id;
    if (this.#card.talk && !this.#card.call && this.#host.can("serverTools")) this.#lookUp(id);
  }

  async #choose(name, button) {
    if (button.getAttribute("aria-disabled") === "true") return;
    const actions = {
      conversation: () => this.#toggleConversation(),
      calendar: () => this.#saveCalendar(),
      again: () => this.#askAbout(afterAskedAgain(this.#card)),
      chat: () => this.#askChat("ask_message"),
      look: () => this.#askChat("check_message"),
      check: () => this.#lookUp(idOf(this.#card)),
      open: () => this.#openLink(linkOf(this.#card.error)),
      sign_in: () => this.#signIn(),
      correct: () => this.#correct(0),
      correct2: () => this.#correct(1),
      correct3: () => this.#correct(2),
      cancel: () => this.#askAbout(afterAskedAbout(this.#card, "cancel")),
      now: () => this.#askAbout(afterAskedAbout(this.#card, "call_now")),
      next: () => this.#goOn(),
      stop: () => this.#stop(),
    };
    this.#page.note("");
    // Not `disabled`, which would take the focus away from a keyboard user.
    button.setAttribute("aria-disabled", "true");
    await actions[name]();
    button.removeAttribute("aria-disabled");
  }

  async #lookUp(id) {
    const result = await this.#call("get_call", { call_id: id, wait_seconds: 0 });
    if (result && !result.isError) this.#receive(result);
    else if (this.#card.call) this.#noteFailure(result);
  }

  async #toggleConversation() {
    if (this.#card.talk) return this.#know(afterTalkToggled(this.#card));
    const result = await this.#useTool("get_transcript");
    if (result) this.#receive(result);
  }

  async #saveCalendar() {
    const result = await this.#useTool("get_calendar_event", { as_file: true });
    if (!result) return;
    const { file, calendar_uri: uri, summary } = result.structuredContent ?? {};
    if (!file) return this.#page.note(locale.text("calendar_none"));
    const text = file.replaceAll("\n", "\r\n"); // RFC 5545, 3.1
    const contents = [{ type: "resource", resource: { uri, mimeType: "text/calendar", text } }];
    const isSaved = await this.#ask("ui/download-file", { contents });
    const event = oneLine(summary) || locale.text("appointment");
    this.#page.note(locale.text(isSaved ? "calendar_done" : "calendar_kept", { event }));
  }

  async #openLink(url) {
    const isOpened = await this.#ask("ui/open-link", { url });
    if (!isOpened) this.#page.note(locale.text("denied"));
  }

  /** Opens the page on which the user signs in. */
  async #signIn() {
    const result = await this.#call("sign_in", {});
    const link = linkOf(result?.structuredContent);
    if (result?.structuredContent?.signed_in) return this.#page.note(locale.text("signed_in"));
    if (!link) return this.#noteFailure(result);
    return this.#openLink(link);
  }

  #correct(index) {
    this.#askAbout(afterCorrected(this.#card, meantNumbers(this.#card.error)[index]));
  }

  /** Sends one of the card's own messages to the chat. */
  async #askChat(key) {
    // Only the card's own text and the number: the model must not get a text from outside as the user's words.
    const values = { number: numberOf(this.#card), id: identifier(this.#card.call?.call_id) };
    const text = locale.text(key, values);
    const isSent = await this.#ask("ui/message", { role: "user", content: [{ type: "text", text }] });
    this.#page.note(locale.text(isSent ? "asked" : "not_asked"));
  }

  /** Lets the list go on with its next candidate, as the user wants. */
  async #goOn() {
    this.#know(afterGoOn(this.#card));
    const result = await this.#call("call_around", { ...this.#card.input, wait_seconds: 0 });
    if (!result) return this.#page.note(locale.text("denied"));
    this.#receive(result);
    this.#page.focusHeading();
    this.#tellModel(messageForModel(this.#card));
  }

  /** Stops the list, as the user wants. One that waits for a decision has stopped already; the model learns the decision. */
  async #stop() {
    if (stateOf(this.#card) === "list_needs_decision") {
      this.#know(afterNobodyElse(this.#card));
      this.#page.focusHeading();
      this.#tellModel("On the call card the user decided to call nobody else on this list. Whether it is booked, ask the user.");
      return announce(locale.text("list_answered_text"));
    }
    const result = await this.#call("cancel_call", { call_id: idOf(this.#card) });
    if (!result || result.isError) return this.#noteFailure(result);
    return this.#lookUp(idOf(this.#card));
  }

  /** Shows the conversation at the time of a quotation. */
  async #showQuote(time) {
    if (!this.#card.talk?.isOpen) await this.#toggleConversation();
    if (this.#card.talk?.isOpen) this.#page.focusTurn(time);
  }

  /** Asks the person before what they chose is done. */
  #askAbout(card) {
    this.#know(card);
    this.#page.focusQuestion();
  }

  #decline() {
    const { by } = this.#card.question;
    this.#know(afterNo(this.#card));
    if (by === "person") return this.#page.focusFirstChoice();
    this.#page.focusHeading();
    this.#tellModel("On the call card the user chose not to call. Do not place this call.");
  }

  /** Does what the person has agreed to. */
  async #agree() {
    const asked = this.#card;
    const { does } = asked.question;
    if (does !== "call") {
      const isCanceled = await this.#cancelScheduled();
      if (!isCanceled) return;
    }
    if (does !== "cancel") return this.#place(requestFor(asked), afterYes(asked, performance.now()));
    this.#tellModel("On the call card the user canceled the scheduled call. Do not place it again.");
  }

  /** Cancels the call that is scheduled, and shows what became of it; returns whether it is canceled. */
  async #cancelScheduled() {
    const id = idOf(this.#card);
    this.#know(afterNo(this.#card));
    this.#page.focusHeading();
    const result = await this.#call("cancel_call", { call_id: id });
    if (!result || result.isError) {
      this.#noteFailure(result);
      return false;
    }
    const isCanceled = result.structuredContent?.status === "canceled";
    if (isCanceled) this.#know(afterScheduleCanceled(this.#card));
    else await this.#lookUp(id);
    return isCanceled;
  }

  /** Places the call that the person has agreed to. */
  async #place({ tool, args }, agreed) {
    this.#know(agreed);
    this.#page.focusHeading();
    announce(locale.text("calling", { callee: calleeOf(this.#card) }));
    const result = await this.#call(tool, args);
    this.#receive(result ?? { isError: true });
    if (this.#card.question) this.#page.focusQuestion();
    else this.#tellModel(messageForModel(this.#card));
  }

  /** The result of a tool; null if the host did not call it. */
  #call(tool, args) {
    return this.#host.callTool(tool, args).catch(() => null);
  }

  /** The result of a tool about this call; null if there is none: then the notice says why. */
  async #useTool(tool, more) {
    const result = await this.#call(tool, { call_id: this.#card.call.call_id, ...more });
    if (result && !result.isError) return result;
    this.#noteFailure(result);
    return null;
  }

  /** Whether the host has done what a request asks for. */
  async #ask(method, params) {
    const answer = await this.#host.request(method, params).catch(() => ({ isError: true }));
    return !answer.isError;
  }

  #tellModel(text) {
    if (!text || !this.#host.can("updateModelContext")) return;
    this.#host.request("ui/update-model-context", { content: [{ type: "text", text }] }).catch(() => {});
  }

  /** Shows why a tool that the card called gave no result; `result` is null if the host did not call the tool. */
  #noteFailure(result) {
    this.#page.note(result ? errorSentence(result.structuredContent ?? {}, false) : locale.text("denied"));
  }
}

new CallCard();
