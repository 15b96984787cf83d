// Shows the calls to play, and sends what the person does. All texts are in play.html.
const path = "/_sandbox/play/calls";
const at = (id) => document.getElementById(id);
const copy = (id) => at(id).content.cloneNode(true).firstElementChild;

function add(call) {
  const section = copy("call");
  const find = (selector) => section.querySelector(selector);
  const form = find("form");
  const { says, does, when, at: time } = form.elements;

  async function send(step, body) {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`${path}/${call.call_id}/${step}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) return; // the call has ended meanwhile
    form.reset();
    show(await answer.json());
    says.focus();
  }

  section.id = call.call_id;
  find("h2").textContent = call.business_name ?? call.formatted_number;
  find(".number").textContent = call.business_name ? call.formatted_number : "";
  find(".buttons .primary").onclick = () => send("pick-up");
  for (const button of section.querySelectorAll(".danger")) button.onclick = () => send("turns", { does: "hangs_up" });
  does.onchange = () => {
    when.hidden = when.disabled = !["offers", "agrees"].includes(does.value);
    time.required = does.value === "offers";
    find("[data-does]").hidden = does.value !== "agrees";
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    const turn = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
    [turn.does, turn.about] = turn.does.split(" ");
    send("turns", turn);
  };
  at("calls").prepend(section);
  return section;
}

function show(call) {
  const section = at(call.call_id) ?? add(call);
  const list = section.querySelector("ol");
  const { does } = section.querySelector("form").elements;
  const shown = list.children.length;
  if (call.said.length < shown) return; // an older answer than the one that is shown
  for (const node of section.querySelectorAll("[data-state]")) node.hidden = node.dataset.state !== call.state;
  section.querySelector("b").textContent = call.highlights;
  const left = Math.ceil(call.seconds_left);
  section.querySelector("meter").value = left;
  section.querySelector(".countdown span").textContent = left;
  for (const turn of call.said.slice(shown)) {
    const item = copy(turn.speaker);
    Object.assign(item.querySelector(".bubble"), { textContent: turn.content, lang: call.language });
    list.append(item);
    // What fits next. What decides about a booking is never chosen for the person: the words may say the opposite.
    does.value = call.expects === "answers" ? "answers" : "";
    does.onchange();
  }
}

async function refresh() {
  try {
    const { calls, can_come } = await (await fetch(path)).json();
    calls.reverse().forEach(show);
    at("none").hidden = calls.length > 0 || !can_come;
    at("never").hidden = calls.length > 0 || can_come;
    at("lost").hidden = true;
  } catch {
    at("lost").hidden = false;
  }
  setTimeout(refresh, 500);
}

refresh();
