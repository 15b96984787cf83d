/** The transcript as a conversation. */

const FIRST_TURNS = 12;

/** Shows the turns of `entries`; all of them, or the first few and a button for the rest. `party` is the other side. */
function showConversation(entries, party, all, showAll) {
  byId("conversation-title").textContent = voice.say("conversation");
  put("quoted", voice.say(entries.length ? "quoted" : "silent"));
  const shown = all || entries.length <= FIRST_TURNS + 3 ? entries : entries.slice(0, FIRST_TURNS);
  byId("turns").replaceChildren(...shown.map((entry) => turn(entry, party)));
  const label = voice.say("show_all", { count: voice.number(entries.length) });
  const button = el("button", { type: "button", onclick: showAll }, label);
  byId("more").replaceChildren(...(shown.length < entries.length ? [button] : []));
}

function turn(entry, party) {
  const ours = entry?.speaker === "AI";
  const named = entry?.speaker === "HUMAN" ? party : line(entry?.speaker, 40);
  const who = ours ? voice.say("assistant") : named || voice.say("other_side");
  return el(
    "li",
    { class: ours ? "turn ours" : "turn", tabindex: -1 },
    el("p", { class: "who" }, el("bdi", {}, who), " ", el("span", { class: "soft" }, clock(entry?.timestamp))),
    el("p", { class: "bubble words", dir: "auto" }, plain(entry?.content, LIMIT.turn)),
  );
}
