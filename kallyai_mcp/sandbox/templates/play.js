// Shows the calls to play, and sends what the person does. All texts are in play.html.
const calls = "/_sandbox/play/calls";
const shown = new Map();
const at = (id) => document.getElementById(id);
let isFirst = true;

async function send(call, step, body) {
  const problem = shown.get(call.call_id).section.querySelector(".problem");
  problem.hidden = true;
  try {
    const response = await fetch(`${calls}/${call.call_id}/${step}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body ?? {}),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error.details.reason ?? answer.error.details.message);
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
  section.querySelector("h2").textContent = [call.business_name, call.number].filter(Boolean).join(" · ");
  section.querySelector("a.button").href = `${calls}/${call.call_id}/scenario.toml`;
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
    const turn = { does: does.value, says: says.value };
    const about = does.selectedOptions[0].dataset.about;
    if (about) turn.about = about;
    if (!section.querySelector(".when").hidden) {
      if (time.value) turn.at = time.value;
      if (on.value) turn.on = on.value;
    }
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

function show(call) {
  if (!shown.has(call.call_id)) add(call);
  const entry = shown.get(call.call_id);
  if (call.said.length < entry.said) return; // an older answer than the one that is shown
  for (const node of entry.section.querySelectorAll("[data-state]")) node.hidden = node.dataset.state !== call.state;
  for (const node of entry.section.querySelectorAll("[data-status]")) node.hidden = node.dataset.status !== call.status;
  entry.section.querySelector(".highlights").textContent = call.highlights ?? "";
  for (const { speaker, content } of call.said.slice(entry.said)) {
    const item = at("turn").content.cloneNode(true).firstElementChild;
    for (const name of item.querySelectorAll("[data-speaker]")) name.hidden = name.dataset.speaker !== speaker;
    item.querySelector("span").textContent = content;
    item.querySelector("span").lang = call.language;
    entry.section.querySelector("ol").append(item);
    if (speaker === "AI" && !isFirst && at("aloud").checked && "speechSynthesis" in window) {
      const speech = new SpeechSynthesisUtterance(content);
      speech.lang = call.language === "es" ? "es-ES" : "en-US";
      speechSynthesis.speak(speech);
    }
  }
  const isNew = call.said.length > entry.said;
  Object.assign(entry, { said: call.said.length, expects: call.expects });
  if (isNew) suggest(entry);
}

async function refresh() {
  try {
    const response = await fetch(calls);
    const list = (await response.json()).calls;
    for (const call of list.reverse()) show(call);
    const known = new Set(list.map((call) => call.call_id));
    for (const [id, { section }] of shown) {
      if (!known.has(id)) {
        section.remove();
        shown.delete(id);
      }
    }
    at("none").hidden = shown.size > 0;
    at("lost").hidden = true;
    isFirst = false;
  } catch {
    at("lost").hidden = false;
  }
  setTimeout(refresh, 500);
}

at("aloud").onchange = () => at("aloud").checked || speechSynthesis.cancel();
refresh();
