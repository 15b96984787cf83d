/** What the card asks before a call is placed, with the number and everything that KallyAI gets. */

/** The question that the person is asked; null if there is none. `canAnswer`: the card may place calls. */
function shownQuestion(card, canAnswer) {
  if (!card.question) return null;
  const { call } = card.question;
  const left = call.not_called ?? [];
  const input = left.length ? { ...card.input, candidates: left } : card.input;
  return {
    title: left.length ? locale.text("ask_list_on", { count: left.length }) : questionTitle(card),
    text: locale.text(input.candidates ? "consent_list_text" : "consent_text"),
    reason: reasons(call),
    facts: consentFacts(call, input),
    canAnswer,
  };
}

/** The question before a call, or before the calls of a list. */
function questionTitle(card) {
  const count = candidateCount(null, card.input);
  if (count) return locale.text("ask_list", { count });
  return locale.text(card.input.redial ? "ask_redial" : "ask_call", { callee: calleeOf(card) });
}

function reasons(call) {
  const keys = (Array.isArray(call.reasons) ? call.reasons : []).map((reason) => `reason_${reason}`);
  const known = keys.filter((key) => Object.hasOwn(TEXTS, key)).map((key) => locale.text(key));
  return known.length ? locale.text("because", { reasons: known.join("; ") }) : "";
}

/** What the user has to know before a call, and what KallyAI gets: pairs of a key of the texts and a value. */
function consentFacts(call, input) {
  const times = (Array.isArray(call.local_times) ? call.local_times : []).map((time) => locale.clock(time));
  const time = timeOf(input.appointment_date, input.appointment_time) || input.appointment_time;
  const when = [time, input.time_preference_text];
  const instructions = Array.isArray(input.additional_instructions) ? input.additional_instructions : [];
  const language = input.call_language ?? input.language;
  return [
    ...(input.candidates ? candidateFacts(input) : [["number", phoneNumber(input.respondent_phone)]]),
    ["time_there", [...new Set(times)].filter(Boolean).slice(0, 3).join(" / ")],
    ["spoken", ["en", "es"].includes(language) ? locale.text(`language_${language}`) : ""],
    ["task", plain(input.task_description, LIMIT.page)],
    ["on_behalf_of", [input.user_name, phoneNumber(input.user_phone)].map((text) => oneLine(text)).filter(Boolean).join(", ")],
    ["when", when.filter(Boolean).map((text) => oneLine(text)).join(", ")],
    ["people", oneLine(String(input.party_size ?? ""), 10)],
    ...instructions.slice(0, 20).map((instruction) => ["also", plain(instruction)]),
    ["minutes_left", Number.isFinite(call.minutes_remaining) ? locale.number(call.minutes_remaining) : ""],
  ].filter(([, value]) => value);
}
