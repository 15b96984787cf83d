/** What the quota card knows, as one frozen value, and how that changes. Nothing here touches the page or the host. */

/** What a card knows before its first message. */
const START = Object.freeze({
  /** QuotaAnswer. */
  quota: null,
  /** ErrorAnswer; it is shown in place of the quota. */
  error: null,
  /** The calls of the period: {start, end, calls, isComplete}, the moments in ms; "unread" if they can't be read. */
  period: null,
});

function changed(card, changes) {
  return Object.freeze({ ...card, ...changes });
}

/** A result of check_quota came. */
function afterResult(card, result) {
  const data = result?.structuredContent;
  if (result?.isError || typeof data !== "object" || data === null) return changed(card, { error: data ?? {} });
  return changed(card, { quota: data, error: null });
}

/** The calls of the period were read, or could not be ("unread"). */
function afterPeriod(card, period) {
  return changed(card, { period });
}

/** From when to when the card shows calls, in ms, at the moment `now`. */
function periodOf({ quota }, now) {
  const end = Math.min(now, Date.parse(quota.period_end) - 1 || Infinity);
  return { start: Date.parse(quota.period_start) || end - 29 * DAY, end };
}

/** When the allowances are full again (ISO 8601); "" if the plan has ended by then, as in the text for the agent. */
function comesBack({ period_end: ends, subscription }, now) {
  if (!ends || Date.parse(ends) <= now) return "";
  const { expires_at: expires, auto_renew: renews, has_active_subscription: isActive } = subscription ?? {};
  const goesOn = isActive !== false && renews === true;
  const isOver = !goesOn && expires && Date.parse(expires) <= Date.parse(ends);
  return isOver ? "" : ends;
}

/** What is used up, so that calls are refused: an allowance; undefined for nothing. Credits pay for a call, too, so they
 * count where there are some, or nothing else. The text for the agent has the same rule. */
function usedUp(quota) {
  const kinds = allowances(quota);
  const credits = kinds.find(({ kind }) => kind === "credits");
  if (credits && !isUsedUp(credits)) return undefined;
  const ofPlan = kinds.filter((one) => one !== credits);
  return (ofPlan.length ? ofPlan : kinds).find(isUsedUp);
}

/** What the card's button does: "sign_in", "more" or "billing", which open the billing page; "" for no button.
 * `can`: what the host allows: {tools, links}. */
function choiceOf({ quota, error }, can) {
  if (!can.tools || !can.links) return "";
  if (error) return SIGNED_OUT.includes(error.code) ? "sign_in" : "";
  if (!quota) return "";
  return usedUp(quota) ? "more" : "billing";
}
