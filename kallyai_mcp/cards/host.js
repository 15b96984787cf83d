/**
 * The card's side of MCP Apps 2026-01-26 (SEP-1865): JSON-RPC 2.0 by postMessage with the host whose page contains the card.
 *
 * Only messages from the parent window are read. Messages to it are sent with the target origin "*": its origin can't be
 * known before its first message, and what the card sends either comes from the parent or is meant for it.
 */
class Host {
  #requests = new Map();
  #lastId = 0;
  #listeners = new Map();
  #capabilities = {};

  /** The host's context: theme, locale, timeZone, … ("Host Context in McpUiInitializeResult"). */
  context = {};

  constructor() {
    window.addEventListener("message", (event) => {
      if (event.source === window.parent && event.data?.jsonrpc === "2.0") this.#receive(event.data);
    });
    this.on("ping", () => ({}));
    this.on("ui/notifications/host-context-changed", (changed) => Object.assign(this.context, changed));
  }

  /** Calls `listener` with the params of each message with this method; for a request, it returns the result. */
  on(method, listener) {
    this.#listeners.set(method, [...(this.#listeners.get(method) ?? []), listener]);
  }

  /** "Lifecycle", 2: ui/initialize and ui/notifications/initialized. Rejects when no host answers. */
  async connect(name) {
    if (window.parent === window) throw new Error("no parent window");
    const initialized = await this.request(
      "ui/initialize",
      {
        protocolVersion: "2026-01-26",
        appInfo: { name, version: VERSION },
        appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
      },
      15_000,
    );
    this.#capabilities = initialized.hostCapabilities ?? {};
    Object.assign(this.context, initialized.hostContext);
    this.notify("ui/notifications/initialized");
  }

  /** Whether the host has declared `capability` ("Host Capabilities"). */
  can(capability) {
    return Boolean(this.#capabilities[capability]);
  }

  notify(method, params = {}) {
    window.parent.postMessage({ jsonrpc: "2.0", method, params }, "*");
  }

  /** Resolves with the result; rejects with the host's error, or when there is no response within `timeout` ms. */
  request(method, params, timeout = 90_000) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#requests.delete(id);
        reject(new Error("no answer"));
      }, timeout);
      this.#requests.set(id, { resolve, reject, timer });
      window.parent.postMessage({ jsonrpc: "2.0", id, method, params }, "*");
    });
  }

  /** Calls a tool of our server through the host; see `request`. The result may have `isError`. */
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

/** Reports the page's height to the host when it changes ("Container Dimensions"). The host decides the width. */
function reportSize(host) {
  let reported = 0;
  new ResizeObserver(() => {
    const height = Math.ceil(document.documentElement.getBoundingClientRect().height);
    if (height === reported) return;
    reported = height;
    host.notify("ui/notifications/size-changed", { height });
  }).observe(document.documentElement);
}

/** The host's colors ("Theming"), and the card's variables that they set; `--line` is computed from them. */
const COLORS = {
  "--color-background-primary": "--ground",
  "--color-background-secondary": "--raised",
  "--color-text-primary": "--ink",
  "--color-text-secondary": "--soft",
};

/** Applies the host's theme, colors, and font. Without all of the colors, none is used, because they may not match ours. */
function applyTheme(context) {
  const { style } = document.documentElement;
  const variables = context.styles?.variables ?? {};
  const set = (name, value) => (typeof value === "string" ? style.setProperty(name, value) : style.removeProperty(name));
  style.colorScheme = ["light", "dark"].includes(context.theme) ? context.theme : "";
  const hasAllColors = Object.keys(COLORS).every((name) => typeof variables[name] === "string");
  for (const [theirs, ours] of Object.entries(COLORS)) set(ours, hasAllColors ? variables[theirs] : undefined);
  set("--sans", variables["--font-sans"]);
  for (const side of ["top", "right", "bottom", "left"]) {
    style.setProperty(`--inset-${side}`, `${Number(context.safeAreaInsets?.[side]) || 0}px`);
  }
}
