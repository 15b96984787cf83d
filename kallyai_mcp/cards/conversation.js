/** The transcript as a conversation. */

const FIRST_TURNS = 12;

class Conversation {
  #host;
  #note;
  #isFull = false; // the whole conversation is shown
  #entries = [];
  #callee = "";
  #copy = element("button", { type: "button", class: "bare", onclick: () => this.#copyText() }, icon("copy"));
  #widen = element("button", { type: "button", class: "bare", onclick: () => this.#openFullScreen() }, icon("widen"));

  /** `note` shows the user a short text. */
  constructor(host, note) {
    [this.#host, this.#note] = [host, note];
    byId("conversation-choices").append(this.#copy, this.#widen);
  }

  /** Shows all `entries`, or the first ones and a button for the rest. `callee` is the name of the other side. */
  show(entries, callee) {
    if (entries !== this.#entries) this.#isFull = false;
    [this.#entries, this.#callee] = [entries, callee];
    const isLong = entries.length > FIRST_TURNS + 3;
    const { displayMode, availableDisplayModes } = this.#host.context;
    const isFullScreen = displayMode === "fullscreen";
    byId("conversation-title").textContent = locale.text("conversation");
    setText("quoted", locale.text(entries.length ? "quoted" : "silent"));
    for (const [button, key] of [[this.#copy, "copy"], [this.#widen, "full_screen"]]) {
      button.setAttribute("aria-label", locale.text(key));
      button.title = locale.text(key);
    }
    this.#copy.hidden = !entries.length;
    this.#widen.hidden = !(isLong && !isFullScreen && availableDisplayModes?.includes("fullscreen"));
    const shown = this.#isFull || isFullScreen || !isLong ? entries : entries.slice(0, FIRST_TURNS);
    const turns = byId("turns");
    const focused = [...turns.children].indexOf(document.activeElement);
    turns.replaceChildren(...shown.map((entry) => turn(entry, callee)));
    turns.children[focused]?.focus(); // the call may arrive after the conversation
    const label = locale.text("show_all", { count: locale.number(entries.length) });
    const button = element("button", { type: "button", onclick: () => this.#showAll() }, label);
    byId("more").replaceChildren(...(shown.length < entries.length ? [button] : []));
  }

  /** Shows the turn that began at `time` ("0:34"), or the last one before. */
  focusTurn(time) {
    const index = this.#entries.findIndex((entry) => timestamp(entry?.timestamp) === time);
    const turns = byId("turns").children;
    if (index >= turns.length) this.#showAll();
    byId("turns").children[Math.max(0, index)]?.focus();
  }

  #showAll() {
    this.#isFull = true;
    this.show(this.#entries, this.#callee);
    byId("turns").children[FIRST_TURNS].focus();
  }

  async #openFullScreen() {
    const answer = await this.#host.request("ui/request-display-mode", { mode: "fullscreen" }).catch(() => ({}));
    if (answer.mode !== "fullscreen") this.#showAll();
  }

  #copyText() {
    const lines = this.#entries.map((entry) => {
      const said = plain(entry?.content, LIMIT.page).replaceAll("\n", " ");
      return [timestamp(entry?.timestamp), `${speaker(entry, this.#callee)}: ${said}`].filter(Boolean).join(" ");
    });
    this.#note(locale.text(copied(lines.join("\n")) ? "copy_done" : "copy_failed"));
    this.#copy.focus();
  }
}

function isAssistant(entry) {
  return entry?.speaker === "AI";
}

function speaker(entry, callee) {
  if (isAssistant(entry)) return locale.text("assistant");
  return (entry?.speaker === "HUMAN" ? callee : oneLine(entry?.speaker, 40)) || locale.text("other_side");
}

function turn(entry, callee) {
  const time = element("span", { class: "soft" }, timestamp(entry?.timestamp));
  return element(
    "li",
    { class: isAssistant(entry) ? "turn ours" : "turn", tabindex: -1 },
    element("p", { class: "who" }, element("bdi", {}, speaker(entry, callee)), " ", time),
    element("p", { class: "bubble words", dir: "auto" }, plain(entry?.content, LIMIT.turn)),
  );
}

/** Copies `text`, and returns whether that worked. `navigator.clipboard` would need a permission that few hosts give. */
function copied(text) {
  const field = element("textarea", { class: "unseen", "aria-hidden": "true" });
  field.value = text;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  return isCopied;
}
