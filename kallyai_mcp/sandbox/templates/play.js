// Shows the calls to play, and sends what the person does. All texts are in play.html.
const path = "/_sandbox/play/calls";
const shown = new Map();
const at = (id) => document.getElementById(id);

function add(call) {
  const section = at("call").content.cloneNode(true).firstElementChild;
  const find = (selector) => section.querySelector(selector);
  const form = find("form");
  const { says, does } = form.elements;

  async function send(step, body = {}) {
    const response = await fetch(`${path}/${call.call_id}/${step}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    find(".problem").hidden = response.ok;
    find(".problem").textContent = answer.error?.details.reason;
    if (!response.ok) return;
    form.reset();
    show(answer);
    says.focus();
  }

  find("h2").textContent = call.business_name ?? call.formatted_number;
  find(".number").textContent = call.business_name ? call.formatted_number : "";
  find("a.button").href = `${path}/${call.call_id}/scenario.toml`;
  find(".pick-up").onclick = () => send("pick-up");
  for (const button of section.querySelectorAll(".hang-up")) button.onclick = () => send("hang-up");
  says.lang = call.language;
  does.onchange = () => {
    find(".when").hidden = find(".when").disabled = does.value !== "offers";
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    const turn = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
    [turn.does, turn.about] = turn.does.split(" ");
    send("turns", turn);
  };
  at("calls").prepend(section);
  shown.set(call.call_id, { section, does, said: 0 });
}

function show(call) {
  if (!shown.has(call.call_id)) add(call);
  const entry = shown.get(call.call_id);
  if (call.said.length < entry.said) return; // an older answer than the one that is shown
  const { section, does } = entry;
  for (const node of section.querySelectorAll("[data-state]")) node.hidden = node.dataset.state !== call.state;
  for (const node of section.querySelectorAll("[data-status]")) node.hidden = node.dataset.status !== call.status;
  section.querySelector(".highlights").textContent = call.highlights;
  const left = Math.ceil(call.seconds_left);
  section.querySelector("meter").value = left;
  section.querySelector(".countdown span").textContent = left;
  for (const turn of call.said.slice(entry.said)) {
    const item = at(turn.speaker).content.cloneNode(true).firstElementChild;
    item.querySelector(".quiet").textContent = turn.timestamp.replace(/^00:0?/, "");
    Object.assign(item.querySelector(".bubble"), { textContent: turn.content, lang: call.language });
    section.querySelector("ol").append(item);
  }
  if (call.said.length > entry.said) {
    does.value = call.expects; // what fits next
    does.onchange();
  }
  entry.said = call.said.length;
}

async function refresh() {
  try {
    const { calls, can_come } = await (await fetch(path)).json();
    calls.reverse().forEach(show);
    at("none").hidden = shown.size > 0 || !can_come;
    at("never").hidden = shown.size > 0 || can_come;
    at("lost").hidden = true;
  } catch {
    at("lost").hidden = false;
  }
  setTimeout(refresh, 500);
}

refresh();
