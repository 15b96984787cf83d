/** What is left of the allowances: an arc for what runs out first, a bar for each of the others. */

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

function showGauges(kinds) {
  byId("gauge").replaceChildren(...kinds.slice(0, 1).map(arc));
  byId("bars").replaceChildren(...kinds.slice(1).map(bar));
}

function arc(allowance) {
  const all = allowance.all === null ? "" : locale.text("of_all", { all: locale.number(allowance.all) });
  // Three quarters of a circle, open below.
  const path = "M24.5 87.5A44 44 0 1 1 87.5 87.5";
  const picture = svg(
    "svg",
    { viewBox: "6 6 100 90", "aria-hidden": "true" },
    svg("path", { class: "edge", d: path }),
    svg("path", { class: "track", d: path }),
    share(allowance) > 0 &&
      svg("path", { class: "level", d: path, pathLength: 100, "stroke-dasharray": `${100 * share(allowance)} 200` }),
  );
  return element(
    "div",
    { class: "arc", ...meter(allowance) },
    picture,
    element("div", { class: "figure", "aria-hidden": "true" },
      element("strong", {}, locale.number(allowance.left)),
      element("span", {}, locale.text(`${allowance.kind}_left`)),
      all && element("span", {}, all),
      hint(allowance) && element("span", { class: "hint" }, hint(allowance))),
  );
}

function bar(allowance) {
  const { kind } = allowance;
  const picture = svg(
    "svg",
    { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "level", width: 100 * share(allowance), height: 8 }),
  );
  return element(
    "div",
    { class: "bar", ...meter(allowance) },
    element("p", { "aria-hidden": "true" }, element("strong", {}, locale.text(kind)), element("span", {}, leftOf(allowance))),
    picture,
    hint(allowance) && element("span", { class: "hint", "aria-hidden": "true" }, hint(allowance)),
  );
}

/** The text "27 of 35 left", or "27 left". */
function leftOf({ left, all }) {
  const [rest, whole] = [locale.number(left), all === null ? "" : locale.number(all)];
  return whole ? locale.text("left_of", { left: rest, all: whole }) : locale.text("left", { left: rest });
}

function share({ left, all }) {
  return all ? Math.min(1, Math.max(0, left / all)) : left > 0 ? 1 : 0;
}

/** A warning for an allowance that is low or used up; else "". */
function hint(allowance) {
  if (allowance.left <= 0) return locale.text("used_up");
  return allowance.all && share(allowance) < SHORT_SHARE ? locale.text("short") : "";
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
    "data-tone": left <= 0 ? "bad" : hint(allowance) ? "warn" : "live",
  };
}
