/** The quota card: what check_quota shows a person. */

class QuotaCard {
  #host = new Host();
  #quota = null; // QuotaAnswer
  #trouble = "";
  #period = null; // {start, end, calls, isAll}, or "unread"
  #billing;

  constructor() {
    this.#billing = el("button", { type: "button", onclick: () => this.#openBilling() });
    byId("choices").append(this.#billing);
    this.#host.on("ui/notifications/tool-result", (result) => this.#take(result));
    open(this.#host, "kallyai-quota", () => this.#show());
  }

  #take(result) {
    if (result.isError || typeof result.structuredContent !== "object") {
      this.#trouble = textOf(result);
    } else {
      this.#quota = result.structuredContent;
      if (this.#host.can("serverTools")) this.#readCalls();
    }
    this.#show();
  }

  async #readCalls() {
    const end = Math.min(Date.now(), Date.parse(this.#quota.period_end) - 1 || Infinity);
    const start = Date.parse(this.#quota.period_start) || end - 29 * DAY;
    try {
      this.#period = { start, end, ...(await callsSince(this.#host, start)) };
    } catch {
      this.#period = "unread";
    }
    this.#show();
  }

  #show() {
    const quota = this.#quota;
    put("title", voice.say("quota"));
    put("trouble", this.#trouble);
    this.#billing.textContent = voice.say("billing");
    this.#billing.hidden = !(this.#host.can("serverTools") && this.#host.can("openLinks") && quota);
    if (!quota) return;
    this.#plan(quota);
    const kinds = allowances(quota);
    showGauges(kinds);
    if (!kinds.length) put("trouble", voice.say("no_figures"));
    this.#chart();
  }

  #plan(quota) {
    const plan = line(quota.plan_type);
    const period = line(quota.period);
    const named = plan && voice.say("plan", { plan: plan[0].toLocaleUpperCase(voice.locale) + plan.slice(1) });
    put("title", named || voice.say("quota"));
    const status = line(quota.subscription_status, 40);
    put("status", worded(status));
    byId("status").dataset.tone = ["active", "trialing"].includes(status) ? "good" : "warn";
    const day = quota.period_end && voice.day(quota.period_end);
    const renewal = day && voice.say(quota.auto_renew === false ? "ends" : "renews", { day });
    put("renewal", [renewal, worded(period)].filter(Boolean).join(" · "));
  }

  #chart() {
    const period = this.#period;
    byId("period").hidden = !period;
    if (!period) return;
    put("chart-title", voice.say("chart"));
    const isRead = period !== "unread" && period.calls.length > 0;
    for (const id of ["chart", "days", "legend"]) byId(id).hidden = !isRead;
    if (!isRead) return put("chart-text", voice.say(period === "unread" ? "chart_later" : "chart_none"));
    const days = byDay(period.calls, period.start, period.end);
    const successful = period.calls.filter((call) => call.status === "success").length;
    const count = period.calls.length;
    const part = period.isAll ? "" : ` ${voice.say("chart_part", { count: voice.number(count) })}`;
    put("chart-text", voice.count("chart_text", count, { successful: voice.number(successful) }) + part);
    put("table-title", voice.say("table"));
    const legend = ["successful", "others"].map((kind) => el("span", { class: kind }, voice.say(kind)));
    byId("legend").replaceChildren(...legend);
    showChart(days);
    showTable(days);
  }

  async #openBilling() {
    const result = await this.#host.callTool("get_billing_link", {}).catch(() => null);
    const url = result?.structuredContent?.url;
    if (typeof url !== "string" || !/^https?:\/\//.test(url)) {
      byId("notice").textContent = result ? textOf(result) : voice.say("denied");
      return;
    }
    const opened = await this.#host.request("ui/open-link", { url }).catch(() => ({ isError: true }));
    byId("notice").textContent = opened.isError ? voice.say("denied") : "";
  }
}

/** The service's word in the reader's language, where the table has it. */
function worded(word) {
  return Object.hasOwn(WORDS.en, word) ? voice.say(word) : word;
}

new QuotaCard();
