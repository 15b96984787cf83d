/** Building the page: every text goes in as a text node, so that nothing in it is ever markup. */

const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

/** An element with attributes, listeners (`onclick`, …) and children; strings become text, null and false nothing. */
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Puts `text` into the element `id`, which is not there while there is none; the same text is left alone. */
function put(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
  element.hidden = !text;
}

/** What screen readers say when they are through with what they are saying. */
function announce(text) {
  byId("live").textContent = text;
}

const PATHS = {
  phone: "M7.2 3.5 9.6 8 7.9 10.2a12 12 0 0 0 5.9 5.9L16 14.4l4.5 2.4c-.3 2.2-1.9 3.7-4 3.7C9.6 20.5 3.5 14.4 3.5 7.5c0-2.1 1.5-3.7 3.7-4z",
  waves: "M14.5 4a6 6 0 0 1 5.5 5.5M14.5 7.5a2.6 2.6 0 0 1 2 2",
  tick: "M5 12.5 10 17.5 19.5 7",
  cross: "M6.5 6.5 17.5 17.5M17.5 6.5 6.5 17.5",
  missed: "M15 4l5 5M20 4l-5 5",
  bars: "M8.5 6v12M15.5 6v12",
  tape: "M6.5 16a4 4 0 1 1 0-8 4 4 0 0 1 0 8zM17.5 16a4 4 0 1 1 0-8 4 4 0 0 1 0 8zM6.5 16h11",
  broken: "M3 12h5l2-4 3 8 2-4h1M18.5 9.5l3 5M21.5 9.5l-3 5",
  slash: "M12 20a8 8 0 1 1 0-16 8 8 0 0 1 0 16zM6.5 6.5l11 11",
  question: "M8.8 9.2a3.3 3.3 0 1 1 4.9 2.9c-1.1.6-1.7 1.2-1.7 2.5M12 18v.01",
  calendar: "M4.5 6.5h15v13h-15zM4.5 10.5h15M8.5 4v4M15.5 4v4",
  speech: "M4 5.5h16v11h-9L7 20v-3.5H4z",
};

/** A picture beside words that say the same. */
function icon(...names) {
  const paths = names.map((name) => svg("path", { d: PATHS[name], class: name }));
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" }, ...paths);
}

/** Once the host has answered: dresses the page, calls `show`, and again whenever the host's context changes. */
async function open(host, name, show) {
  const redress = () => {
    dress(host.context);
    voice = new Voice(host.context);
    document.documentElement.lang = voice.language;
    show();
  };
  host.on("ui/notifications/host-context-changed", redress);
  redress();
  try {
    await host.connect(name);
  } catch {
    put("trouble", voice.say("no_host"));
    return;
  }
  redress();
  reportSize(host);
}
