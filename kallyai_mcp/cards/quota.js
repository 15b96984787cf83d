/** The quota card: it shows a person the result of check_quota. */

class QuotaCard {
  #host = new Host();
  #quota = null; // QuotaAnswer
  #error = "";
  #period = null; // {start, end, calls, isComplete}, or "unread"
  #billing = element("button", { type: "button", onclick: () => this.#openBilling() }, element("span"), outward());

  constructor() {
    byId("choices").append(this.#billing);
    this.#host.on("ui/notifications/tool-result", (result) => this.#receive(result));
    openCard(this.#host, "kallyai-quota", () => this.#show(), "error");
  }

  #receive(result) {
    if (result.isError || typeof result.structuredContent !== "object") {
      this.#error = errorSentence(result.structuredContent ?? {}, false);
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
    setText("title", locale.text("quota"));
    setText("error", this.#error);
    const kinds = allowances(quota ?? {});
    const isEmpty = kinds.some(isUsedUp);
    this.#billing.firstChild.textContent = locale.text(isEmpty ? "upgrade" : "billing");
    this.#billing.classList.toggle("primary", isEmpty);
    this.#billing.hidden = !(this.#host.can("serverTools") && this.#host.can("openLinks") && quota);
    if (!quota) return;
    this.#plan(quota, isEmpty);
    const full = comesBack(quota);
    showGauges(kinds, full ? locale.text("back", { day: locale.shortBillingDay(full) }) : "");
    if (!kinds.length) setText("error", locale.text("no_figures"));
    this.#chart();
  }

  #plan(quota, isEmpty) {
    const plan = oneLine(quota.plan_type);
    const named = plan && locale.text("plan", { plan: plan[0].toLocaleUpperCase(locale.tag) + plan.slice(1) });
    setText("title", translated(`plan_${plan}`, named || locale.text("quota")));
    const status = oneLine(quota.subscription?.status ?? quota.subscription_status, 40);
    const isGood = ["active", "trialing"].includes(status);
    setText("status", isEmpty ? locale.text("used_up_short") : status && translated(status, locale.text("status_other")));
    byId("status").dataset.tone = isEmpty ? "bad" : isGood ? "good" : "warn";
    const words = [this.#renewal(quota.subscription ?? {}), translated(quota.subscription?.plan?.period, "")].filter(Boolean);
    showParts("renewal", words);
    byId("renewal").hidden = !words.length;
  }

  /** When the plan renews or ends; "" without a day. The allowances may come back on another day. */
  #renewal({ expires_at: end, auto_renew: renews }) {
    if (!end) return "";
    const isPast = new Date(end) <= Date.now();
    const words = {
      ends: isPast ? "plan_ended" : "ends",
      renews: isPast ? "was_to_renew" : "renews",
    };
    return locale.text(words[renews === false ? "ends" : "renews"], { day: locale.billingDay(end) });
  }

  #chart() {
    const period = this.#period;
    byId("period").hidden = !period;
    if (!period) return;
    setText("chart-title", locale.text("chart"));
    const isRead = period !== "unread" && period.calls.length > 0;
    const days = isRead ? byDay(period.calls, period.start, period.end) : [];
    const isDrawn = days.filter((day) => day.successful || day.others).length >= FEWEST_DAYS;
    for (const id of ["chart", "days", "legend"]) byId(id).hidden = !isDrawn;
    if (!isRead) return setText("chart-text", locale.text(period === "unread" ? "chart_later" : "chart_none"));
    const successful = period.calls.filter(isAnswered).length;
    const count = period.calls.length;
    const part = period.isComplete ? "" : ` ${locale.text("chart_part", { count: locale.number(count) })}`;
    setText("chart-text", locale.plural("chart_text", count, { successful: locale.number(successful) }) + part);
    if (!isDrawn) return;
    setText("table-title", locale.text("table"));
    const legend = ["successful", "others"].map((kind) => element("span", { class: kind }, locale.text(kind)));
    byId("legend").replaceChildren(...legend);
    showChart(days);
    showTable(days);
  }

  async #openBilling() {
    const result = await this.#host.callTool("check_quota", { billing_link: true }).catch(() => null);
    const url = result?.structuredContent?.billing_url;
    if (typeof url !== "string" || !/^https?:\/\//.test(url)) {
      byId("notice").textContent = result ? errorSentence(result.structuredContent ?? {}, false) : locale.text("denied");
      return;
    }
    const opened = await this.#host.request("ui/open-link", { url }).catch(() => ({ isError: true }));
    byId("notice").textContent = opened.isError ? locale.text("denied") : "";
  }
}

/** When the allowances are full again (ISO 8601); null if the plan has ended by then, as in the text for the agent. */
function comesBack({ period_end: ends, subscription }) {
  if (!ends || new Date(ends) <= Date.now()) return null;
  const { expires_at: expires, auto_renew: renews, has_active_subscription: isActive } = subscription ?? {};
  const goesOn = isActive !== false && renews === true;
  return !goesOn && expires && new Date(expires) <= new Date(ends) ? null : ends;
}

/** A word of KallyAI's in the reader's language if the texts have it, else `other`. */
function translated(word, other) {
  return Object.hasOwn(TEXTS, word ?? "") ? locale.text(word) : other;
}

new QuotaCard();
