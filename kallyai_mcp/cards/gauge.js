/** What is left of the allowances: a bar for what runs out first, a line for each of the others. */

/** If less than this share of an allowance is left, the card warns; the text for the agent has the same limit. */
const SHORT_SHARE = 0.1;

/** The allowances that `quota` has numbers for, as {kind, left, all}, the scarcest first; `all` may be null. */
function allowances(quota) {
  const figure = (name) => (Number.isFinite(quota[name]) ? quota[name] : null);
  return ["minutes", "calls", "credits"]
    .map((kind) => ({ kind, left: figure(`${kind}_remaining`), all: figure(`${kind}_allocated`) }))
    .filter(({ left }) => left !== null)
    .sort((one, other) => share(one) - share(other));
}

/** The allowances, the credits first where they pay for a call because an allowance of the plan is used up: red "0 of 35
 * calls left" would say that no call can be placed. */
function whatPaysFirst(kinds) {
  const paying = kinds.filter((one) => one.kind === "credits" && !isUsedUp(one));
  const isPaidByCredits = paying.length > 0 && kinds.some(isUsedUp);
  return isPaidByCredits ? [...paying, ...kinds.filter((one) => !paying.includes(one))] : kinds;
}

/** Shows the allowances. `back`: when they come back, in words. */
function showGauges(kinds, back) {
  byId("gauge").replaceChildren(...kinds.slice(0, 1).map((one) => bar(one, back)));
  byId("others").replaceChildren(...kinds.slice(1).map(line));
}

function bar(allowance, back) {
  const picture = svg(
    "svg",
    { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "level", width: 100 * share(allowance), height: 8 }),
  );
  const words = [element("strong", {}, leftOf(allowance)), hint(allowance), back].filter(Boolean);
  return element("div", { class: "bar", ...meter(allowance) }, element("p", { class: "parts", "aria-hidden": "true" }, ...dotted(words)), picture);
}

function line(allowance) {
  const words = [leftOf(allowance), hint(allowance)].filter(Boolean);
  return element("div", meter(allowance), element("p", { class: "parts", "aria-hidden": "true" }, ...dotted(words)));
}

/** The text "27 of 35 calls left", or "Calls left: 27". */
function leftOf({ kind, left, all }) {
  const values = { left: locale.number(left), all: all === null ? "" : locale.number(all) };
  return locale.text(values.all ? `${kind}_left_of` : `${kind}_left`, values);
}

function share({ left, all }) {
  return all ? Math.min(1, Math.max(0, left / all)) : left > 0 ? 1 : 0;
}

function isUsedUp({ left }) {
  return left <= 0;
}

/** A warning for an allowance that is low; else "". One that is used up says so by itself. */
function hint(allowance) {
  if (isUsedUp(allowance) || !allowance.all) return "";
  return share(allowance) < SHORT_SHARE ? locale.text("short") : "";
}

/** The gauge's attributes for screen readers. */
function meter(allowance) {
  const { kind, left, all } = allowance;
  return {
    role: "meter",
    "aria-label": locale.text(kind),
    "aria-valuemin": 0,
    "aria-valuemax": Math.max(all ?? left, left, 1),
    "aria-valuenow": Math.max(0, left),
    "aria-valuetext": [leftOf(allowance), hint(allowance)].filter(Boolean).join(". "),
    "data-tone": isUsedUp(allowance) ? "bad" : hint(allowance) ? "warn" : "live",
  };
}
