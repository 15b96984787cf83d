/** What the quota card shows of what it knows, a value for each part of the page, in the reader's language. */

/** What is shown at the moment `now` (ms). `can`: what the host allows: {tools, links}. */
function shown(card, can, now) {
  const { quota, error } = card;
  const choice = choiceOf(card, can);
  const page = { title: locale.text("quota"), status: null, facts: [], gauges: [], back: "", period: null };
  const button = choice && { does: choice, label: locale.text(choice), isPrimary: choice !== "billing" };
  if (choice === "sign_in") return { ...page, button, error: locale.text("sign_in_to_see") };
  if (error) return { ...page, button, error: errorSentence(error, false), status: { text: locale.text("unavailable"), tone: "bad" } };
  if (!quota) return { ...page, button, error: "" };
  const gauges = whatPaysFirst(allowances(quota));
  const empty = usedUp(quota);
  const full = comesBack(quota, now);
  const day = full && locale.shortBillingDay(full);
  return {
    title: empty ? nothingLeft(empty, day) : planName(quota),
    status: statusOf(quota, empty),
    facts: planFacts(quota, empty, now),
    error: gauges.length ? "" : locale.text("no_figures"),
    gauges,
    // The title has the day when nothing is left.
    back: day && !empty ? locale.text("back", { day }) : "",
    button,
    period: card.period && shownPeriod(card.period),
  };
}

/** "No calls left until Feb 1"; without the day, if it is not known. */
function nothingLeft({ kind }, day) {
  return locale.text(day ? `no_${kind}_until` : `no_${kind}`, { day });
}

function planName({ plan_type: type }) {
  const plan = oneLine(type);
  const named = plan && locale.text("plan", { plan: plan[0].toLocaleUpperCase(locale.tag) + plan.slice(1) });
  return translated(`plan_${plan}`, named || locale.text("quota"));
}

/** The state of the plan in words, and its tone. */
function statusOf(quota, empty) {
  if (empty) return { text: locale.text("used_up_short"), tone: "bad" };
  const status = oneLine(quota.subscription?.status ?? quota.subscription_status, 40);
  const tone = ["active", "trialing"].includes(status) ? "good" : "warn";
  return { text: status && translated(status, locale.text("status_other")), tone };
}

/** The plan where the title is about something else; when it ends, unless it renews itself; how often it is paid. */
function planFacts(quota, empty, now) {
  const subscription = quota.subscription ?? {};
  const name = empty && quota.plan_type ? planName(quota) : "";
  const [first, ...others] = [name, planEnds(subscription, now), translated(subscription.plan?.period, "")].filter(Boolean);
  return first ? [first[0].toLocaleUpperCase(locale.tag) + first.slice(1), ...others] : [];
}

function planEnds({ expires_at: end, auto_renew: renews }, now) {
  if (!end || renews !== false) return "";
  return locale.text(Date.parse(end) <= now ? "plan_ended" : "ends", { day: locale.billingDay(end) });
}

/** The calls of the period in words, and their days for a chart; null with too few days for one. */
function shownPeriod(period) {
  if (period === "unread") return { text: locale.text("chart_later"), days: null };
  const count = period.calls.length;
  if (!count) return { text: locale.text("chart_none"), days: null };
  const successful = locale.number(period.calls.filter(isAnswered).length);
  const part = period.isComplete ? "" : ` ${locale.text("chart_part", { count: locale.number(count) })}`;
  const days = byDay(period.calls, period.start, period.end);
  const isDrawn = days.filter((day) => day.successful || day.others).length >= FEWEST_DAYS;
  return { text: locale.plural("chart_text", count, { successful }) + part, days: isDrawn ? days : null };
}

/** A word of KallyAI's in the reader's language if the texts have it, else `other`. */
function translated(word, other) {
  return Object.hasOwn(TEXTS, word ?? "") ? locale.text(word) : other;
}
