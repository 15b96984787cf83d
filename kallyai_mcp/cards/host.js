/**
 * The card's end of MCP Apps 2026-01-26 (SEP-1865): JSON-RPC 2.0 by postMessage with the host that frames the card.
 *
 * Only the framing window is listened to. It is written to with the target "*": its origin can't be known before it
 * has spoken, and what the card sends it is either from it or meant for it.
 */
class Host {
  #requests = new Map();
  #lastId = 0;
  #listeners = new Map();
  #capabilities = {};

  /** What the host says of itself: theme, locale, timeZone, … ("Host Context in McpUiInitializeResult"). */
  context = {};

  constructor() {
    window.addEventListener("message", (event) => {
      if (event.source === window.parent && event.data?.jsonrpc === "2.0") this.#receive(event.data);
    });
    this.on("ping", () => ({}));
    this.on("ui/notifications/host-context-changed", (changed) => Object.assign(this.context, changed));
  }

  /** Calls `listener` with the params of each such message; what it returns answers a request. */
  on(method, listener) {
    this.#listeners.set(method, [...(this.#listeners.get(method) ?? []), listener]);
  }

  /** "Lifecycle", 2: ui/initialize and ui/notifications/initialized. Rejects when no host answers. */
  async connect(name) {
    if (window.parent === window) throw new Error("not framed");
    const welcome = await this.request(
      "ui/initialize",
      {
        protocolVersion: "2026-01-26",
        appInfo: { name, version: VERSION },
        appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
      },
      15_000,
    );
    this.#capabilities = welcome.hostCapabilities ?? {};
    Object.assign(this.context, welcome.hostContext);
    this.notify("ui/notifications/initialized");
  }

  /** Whether the host has said that it has `capability` ("Host Capabilities"). */
  can(capability) {
    return Boolean(this.#capabilities[capability]);
  }

  notify(method, params = {}) {
    window.parent.postMessage({ jsonrpc: "2.0", method, params }, "*");
  }

  /** Resolves with the result; rejects with what the host calls an error, or when nothing comes in `patience` ms. */
  request(method, params, patience = 90_000) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#requests.delete(id);
        reject(new Error("no answer"));
      }, patience);
      this.#requests.set(id, { resolve, reject, timer });
      window.parent.postMessage({ jsonrpc: "2.0", id, method, params }, "*");
    });
  }

  /** A tool of our own server, by way of the host; see `request`. The result may still be `isError`. */
  callTool(name, args) {
    return this.request("tools/call", { name, arguments: args });
  }

  #receive(message) {
    if (message.method === undefined) return this.#settle(message);
    const listeners = this.#listeners.get(message.method) ?? [];
    const answers = listeners.map((listener) => listener(message.params ?? {}));
    if (message.id === undefined) return;
    const reply = listeners.length
      ? { result: answers.at(-1) ?? {} }
      : { error: { code: -32601, message: "Method not found" } };
    window.parent.postMessage({ jsonrpc: "2.0", id: message.id, ...reply }, "*");
  }

  #settle({ id, result, error }) {
    const request = this.#requests.get(id);
    if (!request) return;
    this.#requests.delete(id);
    clearTimeout(request.timer);
    if (error) request.reject(new Error(String(error.message ?? "refused")));
    else request.resolve(result ?? {});
  }
}

/** Tells the host the page's height whenever it changes ("Container Dimensions"). The width is the host's own. */
function reportSize(host) {
  let told = 0;
  new ResizeObserver(() => {
    const height = Math.ceil(document.documentElement.getBoundingClientRect().height);
    if (height === told) return;
    told = height;
    host.notify("ui/notifications/size-changed", { height });
  }).observe(document.documentElement);
}

const COLOURS = [
  "--color-background-primary",
  "--color-background-secondary",
  "--color-text-primary",
  "--color-text-secondary",
  "--color-border-primary",
];

/** Puts on the host's theme, colours and type ("Theming"): its colours all or none, since half of them may clash. */
function dress(context) {
  const { style } = document.documentElement;
  const variables = context.styles?.variables ?? {};
  style.colorScheme = ["light", "dark"].includes(context.theme) ? context.theme : "";
  const whole = COLOURS.every((name) => typeof variables[name] === "string");
  for (const name of [...COLOURS, "--font-sans"]) {
    const value = whole || name === "--font-sans" ? variables[name] : undefined;
    if (typeof value === "string") style.setProperty(name, value);
    else style.removeProperty(name);
  }
  for (const side of ["top", "right", "bottom", "left"]) {
    style.setProperty(`--inset-${side}`, `${Number(context.safeAreaInsets?.[side]) || 0}px`);
  }
}
