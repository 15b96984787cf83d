// Shows the calls to play, and sends what the person does. All texts are in play.html.

/** The first time of day in typed words ("8:30 pm", "20:30", "las 9"), as "20:30"; "" without one. An hour from 1 to 11
 * without "am" is in the afternoon. */
function timeIn(words) {
  const found = /\b(?:(?:at|las?)\s+)?(\d{1,2})(?:[:.h](\d\d))?\s*([ap])\.?\s?m\b|\b(\d{1,2})[:.h](\d\d)\b|\b(?:at|las?)\s+(\d{1,2})\b(?![:.]?\d)/i.exec(words);
  if (!found) return "";
  const [, hourOfHalf, minuteOfHalf, half, hourOfClock, minuteOfClock, bareHour] = found;
  const typed = Number(hourOfHalf ?? hourOfClock ?? bareHour);
  const minute = Number(minuteOfHalf ?? minuteOfClock ?? 0);
  const isMorning = half?.toLowerCase() === "a";
  const isAfternoon = half ? !isMorning : typed > 0 && typed < 12;
  const hour = (half ? typed % 12 : typed) + (isAfternoon ? 12 : 0);
  return hour < 24 && minute < 60 ? `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}` : "";
}

/** What a turn is. Who just talks after a question answers it, and agrees to nothing. */
function kindOf(chosen, expects) {
  return chosen || (expects === "answers" ? "answers" : "speaks");
}

const path = "/_sandbox/play/calls";
const at = (id) => document.getElementById(id);
const copy = (id) => at(id).content.cloneNode(true).firstElementChild;

function add(call) {
  const section = copy("call");
  const find = (selector) => section.querySelector(selector);
  const form = find("form");
  const { says, does, when, at: time } = form.elements;
  const takeOver = find(".take-over");

  async function send(step, body) {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`${path}/${call.call_id}/${step}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) return; // the call has ended meanwhile
    if (step === "turns") {
      form.reset(); // not after picking up: the person may have begun to type
      does.onchange();
    }
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
    says.oninput();
  };
  // A typed time changes nothing until the person says that they propose it.
  says.oninput = () => {
    const typed = timeIn(says.value);
    takeOver.parentElement.hidden = !typed || does.value === "offers";
    takeOver.value = typed;
    takeOver.querySelector("time").textContent = typed;
  };
  takeOver.onclick = () => {
    does.value = "offers";
    does.onchange();
    time.value = takeOver.value;
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    const turn = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
    const [does, about] = (turn.does ?? "").split(" ");
    Object.assign(turn, { does: kindOf(does, form.dataset.expects), about });
    send("turns", turn);
  };
  does.onchange();
  at("calls").prepend(section);
  return section;
}

function show(call) {
  const section = at(call.call_id) ?? add(call);
  const list = section.querySelector("ol");
  const form = section.querySelector("form");
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
  }
  form.dataset.expects = call.expects ?? "";
}

/** Rings once while a call comes in, if the person has switched sound on. A browser allows it after that click. */
const ring = { context: null, last: 0 };

function ringAloud(calls) {
  const isRinging = at("sound").checked && calls.some((call) => call.state === "incoming");
  if (!isRinging || Date.now() - ring.last < 3000) return;
  ring.last = Date.now();
  ring.context ??= new AudioContext();
  const { context } = ring;
  const volume = new GainNode(context, { gain: 0.1 });
  volume.connect(context.destination);
  for (const frequency of [440, 480]) {
    const tone = new OscillatorNode(context, { frequency });
    tone.connect(volume);
    tone.start();
    tone.stop(context.currentTime + 1);
  }
}

async function refresh() {
  try {
    const { calls, can_come } = await (await fetch(path)).json();
    calls.reverse().forEach(show);
    ringAloud(calls);
    at("none").hidden = calls.length > 0 || !can_come;
    at("never").hidden = calls.length > 0 || can_come;
    at("lost").hidden = true;
  } catch {
    at("lost").hidden = false;
  }
  setTimeout(refresh, 500);
}

if (globalThis.document) refresh();
