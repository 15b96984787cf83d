/** Builds the page. Every text is a text node, so that no text is interpreted as markup. */

const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

/** An element with attributes, listeners (`onclick`, …), and children; strings become text, null and false nothing. */
function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(target, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") target.addEventListener(name.slice(2), value);
    else if (value === true) target.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) target.setAttribute(name, value);
  }
  target.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return target;
}

/** Sets the text of the element `id`, and hides it while the text is empty. The same text is not set again. */
function setText(id, text) {
  const target = byId(id);
  if (target.textContent !== text) target.textContent = text;
  target.hidden = !text;
}

/** Pairs of a key of the texts and a value as the children of a `dl`. */
function factList(facts) {
  return facts.flatMap(([key, value]) => [
    element("dt", {}, locale.text(key)),
    element("dd", { class: "words", dir: key === "number" ? "ltr" : "auto" }, value),
  ]);
}

/** Shows parts in a row that wraps between them, with a dot between two parts of one line, never at its end. */
function showParts(id, parts) {
  byId(id).replaceChildren(...dotted(parts));
}

function dotted(parts) {
  const dot = () => element("span", { class: "dot" }, " · ");
  return parts.map((part, index) => element("span", { class: "part" }, index > 0 && dot(), part));
}

/** A link that the host opens; where it opens none, the browser does. */
function link(host, url, onDenied, attributes, ...children) {
  const open = async (event) => {
    if (!host.can("openLinks")) return;
    event.preventDefault();
    const answer = await host.request("ui/open-link", { url }).catch(() => ({ isError: true }));
    if (answer.isError) onDenied();
  };
  return element("a", { href: url, onclick: open, ...attributes }, ...children);
}

/** Makes screen readers say `text`, after what they are saying now. */
function announce(text) {
  byId("live").textContent = text;
}

const PATHS = {
  phone: "M7.2 3.5 9.6 8 7.9 10.2a12 12 0 0 0 5.9 5.9L16 14.4l4.5 2.4c-.3 2.2-1.9 3.7-4 3.7C9.6 20.5 3.5 14.4 3.5 7.5c0-2.1 1.5-3.7 3.7-4z",
  waves: "M14.5 4a6 6 0 0 1 5.5 5.5M14.5 7.5a2.6 2.6 0 0 1 2 2",
  person: "M12 12a4 4 0 1 1 0-8 4 4 0 0 1 0 8zM4.5 20a7.5 7.5 0 0 1 15 0",
  tick: "M5 12.5 10 17.5 19.5 7",
  cross: "M6.5 6.5 17.5 17.5M17.5 6.5 6.5 17.5",
  missed: "M15 4l5 5M20 4l-5 5",
  bars: "M8.5 6v12M15.5 6v12",
  tape: "M6.5 16a4 4 0 1 1 0-8 4 4 0 0 1 0 8zM17.5 16a4 4 0 1 1 0-8 4 4 0 0 1 0 8zM6.5 16h11",
  broken: "M12 4 21 19.5H3zM12 10v4M12 16.8v.01",
  renew: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9M19.5 4v5h-5",
  slash: "M12 20a8 8 0 1 1 0-16 8 8 0 0 1 0 16zM6.5 6.5l11 11",
  question: "M8.8 9.2a3.3 3.3 0 1 1 4.9 2.9c-1.1.6-1.7 1.2-1.7 2.5M12 18v.01",
  calendar: "M4.5 6.5h15v13h-15zM4.5 10.5h15M8.5 4v4M15.5 4v4",
  speech: "M4 5.5h16v11h-9L7 20v-3.5H4z",
  hollow: "M12 17.5a5.5 5.5 0 1 1 0-11 5.5 5.5 0 0 1 0 11z",
  clock: "M12 20a8 8 0 1 1 0-16 8 8 0 0 1 0 16zM12 7.5V12l3 2.5",
  copy: "M9 9h10.5v10.5H9zM15 9V4.5H4.5V15H9",
  widen: "M14 4.5h5.5V10M10 19.5H4.5V14M19.5 4.5 14 10M4.5 19.5 10 14",
};

/** An icon next to a text with the same meaning. */
function icon(...names) {
  const paths = names.map((name) => svg("path", { d: PATHS[name], class: name }));
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" }, ...paths);
}

/** Says that the calls are simulated, where they are. */
function showSandbox() {
  setText("sandbox", SANDBOX ? locale.text("sandbox") : "");
}

/** The sign of a link that leaves the chat; a screen reader hears that from the host. */
function outward() {
  return element("span", { "aria-hidden": "true" }, "↗");
}

/** Connects to the host. Its theme is applied, and `show` is called, at once, after connecting, and whenever the host's
 * context changes. Without a host, the element `errorId` says so. */
async function openCard(host, name, show, errorId = "said") {
  const update = () => {
    applyTheme(host.context);
    locale = new Locale(host.context);
    document.documentElement.lang = locale.language;
    showSandbox();
    show();
  };
  host.on("ui/notifications/host-context-changed", update);
  update();
  try {
    await host.connect(name);
  } catch {
    setText(errorId, locale.text("no_host"));
    return;
  }
  update();
  reportSize(host);
}
