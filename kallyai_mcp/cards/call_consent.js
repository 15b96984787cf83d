/** What the card asks before a call is placed or canceled, with the number and everything that KallyAI gets. */

/** The question that the person is asked; null if there is none. `canAnswer`: the card may place calls. */
function shownQuestion(card, canAnswer) {
  if (!card.question) return null;
  const { call, does } = card.question;
  const left = call.not_called ?? [];
  const input = left.length ? { ...card.input, candidates: left } : card.input ?? {};
  const asks = does === "cancel" ? [] : consentFacts(call, input);
  return {
    title: left.length ? locale.text("ask_list_on", { count: left.length }) : questionTitle(card),
    what: does === "cancel" ? [] : whatIsAsked(input),
    numbers: numbersCalled(card, input, call),
    text: consentText(does, input),
    reason: reasons(call),
    facts: asks,
    yes: locale.text(does === "cancel" ? "cancel_call" : "call_now"),
    no: locale.text(does === "call" ? "dont_call" : "keep_time"),
    canAnswer,
  };
}

/** The question before a call, or before the calls of a list. */
function questionTitle(card) {
  const { question, input } = card;
  const callee = calleeOf(card);
  if (question.does === "cancel") return locale.text("ask_cancel", { callee });
  if (question.does === "call_now") return locale.text("ask_now", { callee });
  const count = candidateCount(null, input);
  if (count) return locale.text(input.until === "all" ? "ask_list_all" : "ask_list", { count });
  return locale.text(input.redial ? "ask_redial" : "ask_call", { callee });
}

function consentText(does, input) {
  const keys = { cancel: "cancel_text", call_now: "call_now_text" };
  const usual = input.candidates ? "consent_list_text" : "consent_text";
  if (!SANDBOX || does === "cancel") return locale.text(keys[does] ?? usual);
  return locale.text(input.candidates ? "simulated_list_text" : "simulated_text");
}

/** What is asked for, in parts of one line: "Wed, Jan 28", "7:00 PM", "4 people", "for Ada", "no other time". */
function whatIsAsked(input) {
  const name = oneLine(input.user_name);
  const isFixed = input.appointment_date && !input.accept_other_time && !oneLine(input.other_times);
  return [
    input.appointment_date && capitalized(locale.date(input.appointment_date)),
    input.appointment_time && locale.timeOfDay(input.appointment_time),
    oneLine(input.time_preference_text),
    peopleCount(input.party_size),
    name && locale.text("for_name", { name }),
    input.accept_other_time && locale.text("any_other_time"),
    isFixed && locale.text("no_other_time"),
  ].filter(Boolean);
}

/** The country of all candidates; "" if they differ. */
function commonCountry(candidates) {
  const countries = new Set(candidates.map((one) => countryOf(one?.respondent_phone)));
  return countries.size === 1 ? [...countries][0] : "";
}

/** Each number that is called, in parts: its name in a list, the number, its country unless that of all is told once, and
 * the time there if it is alone. */
function numbersCalled(card, input, call) {
  const times = (Array.isArray(call.local_times) ? call.local_times : []).map((time) => locale.clock(time)).filter(Boolean);
  const there = [...new Set(times)].slice(0, 3).join(" / ");
  if (!input.candidates) {
    const number = input.respondent_phone ?? card.call?.respondent_phone;
    return [[phoneNumber(number), countryOf(number), there && locale.text("clock_there", { time: there })].filter(Boolean)];
  }
  return input.candidates.slice(0, 10).map((one) => {
    const number = one?.respondent_phone;
    return [oneLine(one?.business_name), phoneNumber(number), commonCountry(input.candidates) ? "" : countryOf(number)].filter(Boolean);
  });
}

function reasons(call) {
  const given = Array.isArray(call.reasons) ? call.reasons : [];
  const known = given.filter((reason) => Object.hasOwn(TEXTS, `reason_${reason}`));
  const told = known.map((reason) => (reason === "opted_out" ? optedOut(call.evidence) : locale.text(`reason_${reason}`)));
  return told.length ? locale.text("because", { reasons: told.join("; ") }) : "";
}

/** Who asked not to be called again: their words, and the day; or on which day KallyAI refused the number. */
function optedOut(said) {
  const day = locale.date(said?.at);
  if (!day) return locale.text("reason_opted_out");
  const quote = oneLine(said.quote, LIMIT.page);
  return quote ? locale.text("they_opted_out", { day, quote: locale.text("quotation", { text: quote }) }) : locale.text("is_suppressed", { day });
}

/** What else KallyAI gets, and what the user has to know: pairs of a key of the texts and a value. */
function consentFacts(call, input) {
  const instructions = Array.isArray(input.additional_instructions) ? input.additional_instructions : [];
  const questions = Array.isArray(input.questions) ? input.questions : [];
  const language = input.call_language ?? input.language;
  const until = ["booked", "answered", "all"].includes(input.until) ? `until_${input.until}` : "";
  return [
    ["task", plain(input.task_description, LIMIT.page)],
    ["country", input.candidates ? commonCountry(input.candidates) : ""],
    ["until", input.candidates && until && locale.text(until)],
    ...questions.slice(0, 10).map((question) => ["asks", plain(question)]),
    ...instructions.slice(0, 20).map((instruction) => ["also", plain(instruction)]),
    ["other_times", oneLine(input.other_times)],
    ["call_back", oneLine(phoneNumber(input.user_phone))],
    ["spoken", ["en", "es"].includes(language) ? locale.text(`language_${language}`) : ""],
    ["minutes_left", Number.isFinite(call.minutes_remaining) ? locale.number(call.minutes_remaining) : ""],
    ["credits_left", Number.isFinite(call.credits_remaining) ? locale.number(call.credits_remaining) : ""],
  ].filter(([, value]) => value);
}
