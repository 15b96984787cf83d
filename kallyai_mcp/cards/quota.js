/** The quota card: it shows a person the result of check_quota. What it knows is in `quota_state.js`, what it shows of that
 * in `quota_shown.js`. */

class QuotaCard {
  #host = new Host();
  #card = START;
  #button = element("button", { type: "button", onclick: () => this.#press() }, element("span"), outward());

  constructor() {
    byId("choices").append(this.#button);
    this.#host.on("ui/notifications/tool-result", (result) => this.#receive(result));
    openCard(this.#host, "kallyai-quota", () => this.#show(), "error");
  }

  #can() {
    return { tools: this.#host.can("serverTools"), links: this.#host.can("openLinks") };
  }

  #know(card) {
    this.#card = card;
    this.#show();
  }

  #receive(result) {
    this.#know(afterResult(this.#card, result));
    if (!this.#card.error && this.#can().tools) this.#readCalls();
  }

  async #readCalls() {
    const period = periodOf(this.#card, Date.now());
    const calls = await callsSince(this.#host, period.start).catch(() => null);
    this.#know(afterPeriod(this.#card, calls ? { ...period, ...calls } : "unread"));
  }

  #show() {
    const page = shown(this.#card, this.#can(), Date.now());
    setText("title", page.title);
    setText("error", page.error);
    setText("status", page.status?.text ?? "");
    byId("status").dataset.tone = page.status?.tone ?? "";
    showParts("renewal", page.facts);
    byId("renewal").hidden = !page.facts.length;
    showGauges(page.gauges, page.back);
    this.#showButton(page.button);
    this.#showPeriod(page.period);
  }

  #showButton(button) {
    this.#button.hidden = !button;
    this.#button.firstChild.textContent = button ? button.label : "";
    this.#button.classList.toggle("primary", Boolean(button && button.isPrimary));
  }

  #showPeriod(period) {
    byId("period").hidden = !period;
    if (!period) return;
    setText("chart-title", locale.text("chart"));
    setText("chart-text", period.text);
    for (const id of ["chart", "days", "legend"]) byId(id).hidden = !period.days;
    if (!period.days) return;
    setText("table-title", locale.text("table"));
    const legend = ["successful", "others"].map((kind) => element("span", { class: kind }, locale.text(kind)));
    byId("legend").replaceChildren(...legend);
    showChart(period.days);
    showTable(period.days);
  }

  /** Opens the page for signing in, or the one on which the plan is changed. */
  async #press() {
    const signsIn = choiceOf(this.#card, this.#can()) === "sign_in";
    const { link } = this.#card.error ?? {};
    if (signsIn && link) return this.#open(link);
    const asked = signsIn ? ["sign_in", {}] : ["check_quota", { billing_link: true }];
    const result = await this.#host.callTool(...asked).catch(() => null);
    if (!result) return this.#note(locale.text("denied"));
    const told = result.structuredContent ?? {};
    return this.#open(signsIn ? told.link : told.billing_url, told);
  }

  /** Opens a web page; without one, the notice says what the tool `told`. */
  async #open(url, told = {}) {
    if (typeof url !== "string" || !/^https?:\/\//.test(url)) return this.#note(errorSentence(told, false));
    const opened = await this.#host.request("ui/open-link", { url }).catch(() => ({ isError: true }));
    return this.#note(opened.isError ? locale.text("denied") : "");
  }

  #note(text) {
    byId("notice").textContent = text;
  }
}

new QuotaCard();
