/** What is left of an allowance: a dial for the first kind, a bar for each of the others. */

/** Below this share of the allowance it is getting short; the same as in what the agent reads. */
const SHORT_SHARE = 0.1;

/** The kinds that `quota` has figures of, as {kind, left, all}; `all` may be null. */
function allowances(quota) {
  const figure = (name) => (Number.isFinite(quota[name]) ? quota[name] : null);
  return ["minutes", "calls", "credits"]
    .map((kind) => ({ kind, left: figure(`${kind}_remaining`), all: figure(`${kind}_allocated`) }))
    .filter(({ left }) => left !== null);
}

function showGauges(kinds) {
  const [first, ...others] = kinds;
  const parts = first ? [dial(first), others.length ? el("div", { class: "bars" }, ...others.map(bar)) : null] : [];
  byId("gauges").replaceChildren(...parts.filter(Boolean));
}

function dial(allowance) {
  const all = allowance.all === null ? "" : voice.say("of_all", { all: voice.number(allowance.all) });
  // Three quarters of a circle, open below.
  const arc = "M24.5 87.5A44 44 0 1 1 87.5 87.5";
  const picture = svg(
    "svg",
    { viewBox: "6 6 100 90", "aria-hidden": "true" },
    svg("path", { class: "track", d: arc, pathLength: 100, "stroke-linecap": "round" }),
    share(allowance) > 0 &&
      svg("path", { class: "level", d: arc, pathLength: 100, "stroke-dasharray": `${100 * share(allowance)} 200` }),
  );
  return el(
    "div",
    { class: "dial", ...meter(allowance) },
    picture,
    el("div", { class: "figure", "aria-hidden": "true" },
      el("strong", {}, voice.number(allowance.left)),
      el("span", {}, voice.say(`${allowance.kind}_left`)),
      all && el("span", {}, all),
      hint(allowance) && el("span", { class: "hint" }, hint(allowance))),
  );
}

function bar(allowance) {
  const { kind } = allowance;
  const picture = svg(
    "svg",
    { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "track", width: 100, height: 8 }),
    svg("rect", { class: "level", width: 100 * share(allowance), height: 8 }),
  );
  return el(
    "div",
    { class: "bar", ...meter(allowance) },
    el("p", { "aria-hidden": "true" }, el("strong", {}, voice.say(kind)), el("span", {}, leftOf(allowance))),
    picture,
    hint(allowance) && el("span", { class: "hint", "aria-hidden": "true" }, hint(allowance)),
  );
}

/** As "27 of 35 left", or "27 left". */
function leftOf({ left, all }) {
  const [rest, whole] = [voice.number(left), all === null ? "" : voice.number(all)];
  return whole ? voice.say("left_of", { left: rest, all: whole }) : voice.say("left", { left: rest });
}

function share({ left, all }) {
  return all ? Math.min(1, Math.max(0, left / all)) : left > 0 ? 1 : 0;
}

/** Words for an allowance that is short or used up; else "". */
function hint(allowance) {
  if (allowance.left <= 0) return voice.say("used_up");
  return allowance.all && share(allowance) < SHORT_SHARE ? voice.say("short") : "";
}

/** The whole gauge as a screen reader has it. */
function meter(allowance) {
  const { kind, left, all } = allowance;
  return {
    role: "meter",
    "aria-label": voice.say(kind),
    "aria-valuemin": 0,
    "aria-valuemax": Math.max(all ?? left, left, 1),
    "aria-valuenow": Math.max(0, left),
    "aria-valuetext": [leftOf(allowance), hint(allowance)].filter(Boolean).join(". "),
    "data-tone": left <= 0 ? "bad" : hint(allowance) ? "warn" : "live",
  };
}
