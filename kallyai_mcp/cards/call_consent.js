/** Asks the user before a call is placed, with the number and everything that KallyAI gets. */
class CallConsent {
  #onYes = null;
  #onNo = null;

  constructor() {
    byId("consent-no").addEventListener("click", () => this.#answer(this.#onNo));
    byId("consent-yes").addEventListener("click", () => this.#answer(this.#onYes));
  }

  get isOpen() {
    return !byId("consent").hidden;
  }

  /**
   * Shows the question.
   *
   * @param call The structure of the result that asks for consent: the reasons, the time there, and the minutes left;
   *   {} for a question of the card itself.
   * @param input The arguments of make_call or call_around.
   * @param title The question.
   * @param answers {yes, no}: each is called once, when the user presses that button; null for a host without tools.
   */
  ask(call, input, title, answers) {
    [this.#onYes, this.#onNo] = [answers?.yes, answers?.no];
    byId("consent-title").textContent = title;
    byId("consent-text").textContent = locale.text(input.candidates ? "consent_list_text" : "consent_text");
    byId("consent-no").textContent = locale.text("dont_call");
    byId("consent-yes").textContent = locale.text("call_now");
    for (const id of ["consent-no", "consent-yes"]) byId(id).hidden = !answers;
    setText("consent-chat", answers ? "" : locale.text("answer_in_chat"));
    setText("consent-reason", reasons(call));
    byId("consent-facts").replaceChildren(...factList(consentFacts(call, input)));
    byId("consent").hidden = false;
  }

  close() {
    byId("consent").hidden = true;
    [this.#onYes, this.#onNo] = [null, null];
  }

  #answer(on) {
    this.close();
    on?.();
  }
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
