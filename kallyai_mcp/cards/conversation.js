/** The transcript as a conversation. */

const FIRST_TURNS = 12;

/** Shows all `entries`, or the first ones and a button for the rest. `callee` is the name of the other side. */
function showConversation(entries, callee, all, showAll) {
  byId("conversation-title").textContent = locale.text("conversation");
  setText("quoted", locale.text(entries.length ? "quoted" : "silent"));
  const shown = all || entries.length <= FIRST_TURNS + 3 ? entries : entries.slice(0, FIRST_TURNS);
  byId("turns").replaceChildren(...shown.map((entry) => turn(entry, callee)));
  const label = locale.text("show_all", { count: locale.number(entries.length) });
  const button = element("button", { type: "button", onclick: showAll }, label);
  byId("more").replaceChildren(...(shown.length < entries.length ? [button] : []));
}

function turn(entry, callee) {
  const isAssistant = entry?.speaker === "AI";
  const named = entry?.speaker === "HUMAN" ? callee : oneLine(entry?.speaker, 40);
  const who = isAssistant ? locale.text("assistant") : named || locale.text("other_side");
  return element(
    "li",
    { class: isAssistant ? "turn ours" : "turn", tabindex: -1 },
    element("p", { class: "who" }, element("bdi", {}, who), " ", element("span", { class: "soft" }, timestamp(entry?.timestamp))),
    element("p", { class: "bubble words", dir: "auto" }, plain(entry?.content, LIMIT.turn)),
  );
}
