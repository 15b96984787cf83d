// Shows the calls to play, and sends what the person does. All texts are in play.html.
const path = "/_sandbox/play/calls";
const shown = new Map();
const at = (id) => document.getElementById(id);
let isFirst = true;

async function send(call, step, body) {
  const problem = shown.get(call.call_id).section.querySelector(".problem");
  problem.hidden = true;
  try {
    const response = await fetch(`${path}/${call.call_id}/${step}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body ?? {}),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error.details.reason);
    show(answer);
    return true;
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
    return false;
  }
}

function add(call) {
  const section = at("call").content.cloneNode(true).firstElementChild;
  section.querySelector("h2").textContent = call.business_name ?? call.formatted_number;
  section.querySelector(".number").textContent = call.business_name ? call.formatted_number : "";
  section.querySelector("a.button").href = `${path}/${call.call_id}/scenario.toml`;
  section.querySelector(".pick-up").onclick = async () => {
    if (await send(call, "pick-up")) section.querySelector("textarea").focus();
  };
  for (const button of section.querySelectorAll(".hang-up")) button.onclick = () => send(call, "hang-up");
  const form = section.querySelector("form");
  const { says, does, at: time, on } = form.elements;
  says.lang = call.language;
  does.onchange = () => {
    time.required = does.value === "offers";
    section.querySelector(".when").hidden = !time.required;
  };
  form.onsubmit = async (event) => {
    event.preventDefault();
    const turn = { does: does.value, says: says.value, about: does.selectedOptions[0].dataset.about };
    if (time.required) Object.assign(turn, { at: time.value || undefined, on: on.value || undefined });
    if (await send(call, "turns", turn)) {
      form.reset();
      suggest(shown.get(call.call_id));
      says.focus();
    }
  };
  at("calls").prepend(section);
  shown.set(call.call_id, { section, said: 0 });
}

// Chooses what the person would likely do next.
function suggest({ section, expects }) {
  const { does } = section.querySelector("form").elements;
  if (expects) does.value = expects;
  does.onchange();
}

function speak({ content }, language) {
  if (isFirst || !at("aloud").checked || !("speechSynthesis" in window)) return;
  const speech = new SpeechSynthesisUtterance(content);
  speech.lang = language === "es" ? "es-ES" : "en-US";
  speechSynthesis.speak(speech);
}

function show(call) {
  if (!shown.has(call.call_id)) add(call);
  const entry = shown.get(call.call_id);
  if (call.said.length < entry.said) return; // an older answer than the one that is shown
  const { section } = entry;
  for (const node of section.querySelectorAll("[data-state]")) node.hidden = node.dataset.state !== call.state;
  for (const node of section.querySelectorAll("[data-status]")) node.hidden = node.dataset.status !== call.status;
  section.querySelector(".highlights").textContent = call.highlights ?? "";
  const left = Math.ceil(call.seconds_left);
  section.querySelector("meter").value = left;
  section.querySelector(".countdown span").textContent = left;
  for (const turn of call.said.slice(entry.said)) {
    const item = at("turn").content.cloneNode(true).firstElementChild;
    item.classList.toggle("ours", turn.speaker === "HUMAN");
    for (const name of item.querySelectorAll("[data-speaker]")) name.hidden = name.dataset.speaker !== turn.speaker;
    item.querySelector(".quiet").textContent = turn.timestamp.replace(/^00:0?/, "");
    Object.assign(item.querySelector(".bubble"), { textContent: turn.content, lang: call.language });
    section.querySelector("ol").append(item);
    if (turn.speaker === "AI") speak(turn, call.language);
  }
  const isNew = call.said.length > entry.said;
  Object.assign(entry, { said: call.said.length, expects: call.expects });
  if (isNew) suggest(entry);
}

async function refresh() {
  try {
    const { calls, can_come } = await (await fetch(path)).json();
    for (const call of calls.reverse()) show(call);
    const known = new Set(calls.map((call) => call.call_id));
    for (const [id, { section }] of shown) {
      if (!known.has(id)) {
        section.remove();
        shown.delete(id);
      }
    }
    at("none").hidden = shown.size > 0 || !can_come;
    at("never").hidden = shown.size > 0 || can_come;
    at("lost").hidden = true;
    isFirst = false;
  } catch {
    at("lost").hidden = false;
  }
  setTimeout(refresh, 500);
}

at("aloud").onchange = () => at("aloud").checked || speechSynthesis.cancel();
refresh();
