/** What the call card says about a list of candidates (ListAnswer): its state, a sentence, and a row for each candidate. */

/** States in which the list is about one callee: the one that is being called, or the one whose call ended the list. */
const ABOUT_ONE = ["list_in_progress", "list_ending", "list_booked", "booked_other_time", "list_answered", "list_needs_decision", "list_unknown"];

/** States of a list that its last call has ended. */
const CALL_ENDED_LIST = ["list_booked", "booked_other_time", "list_answered"];

/** States of a list whose calls go on. */
const LIST_LIVE = ["list_in_progress", "list_asking_all", "list_ending"];

function isList(data) {
  return typeof data?.until === "string";
}

/** A key of STATES for a list's structure. */
function stateOfList(list) {
  if (list.status === "needs_confirmation") return list.status;
  if (list.status === "in_progress" && list.until === "all") return "list_asking_all";
  if (isEnding(list)) return "list_ending";
  if (list.status === "booked" && list.calls.at(-1)?.outcome === "booked_other_time") return "booked_other_time";
  return Object.hasOwn(STATES, `list_${list.status}`) ? `list_${list.status}` : "list_unknown";
}

/** Whether a list has stopped while calls of it are in progress. */
function isEnding(list) {
  const mayCall = list.status === "canceled" || (list.until === "all" && list.status !== "in_progress");
  return mayCall && list.calls.some((call) => call.status === "in_progress");
}

/** How many candidates were called, and their calls have ended. */
function calledCount(list) {
  return list.calls.filter((call) => call.outcome).length;
}

/** How many candidates there are. */
function candidateCount(list, input) {
  return (list ? list.calls.length + list.not_called.length : 0) || (input?.candidates?.length ?? 0);
}

/** What a list asks the person, or what came of all its calls; "" in any other state. */
function listHeadline(state, list) {
  const next = nameOf(list.not_called[0]);
  const last = list.calls.at(-1);
  if (state === "list_needs_decision" && last?.outcome === "booked_other_time") return otherTimeQuestion(last);
  if (asksForNext(state, list)) return locale.text("ask_call", { callee: next });
  if (state === "list_needs_decision") return locale.text("booked_question");
  if (state === "list_needs_sign_in") return locale.text("sign_in_first");
  if (state !== "list_done") return "";
  if (list.until === "booked") return isUnbooked(list) ? locale.text(isUnread(list) ? "booking_not_known" : "no_booking") : "";
  const answered = list.calls.filter((call) => call.outcome === "answered").length;
  return locale.text("list_answers", { answered, count: list.calls.length });
}

/** "Does Wed, Jan 28, 8:30 PM work for you?" */
function otherTimeQuestion(call) {
  const when = appointmentTime(call);
  return when ? locale.text("time_question", { when }) : locale.text("other_time_question");
}

/** Whether the list asks to call the next candidate, because the last one seems to have booked nothing. */
function asksForNext(state, list) {
  return seemsUnbooked(state, list) && nameOf(list.not_called[0]) !== "";
}

/** Whether no call of a list shows a booking. */
function isUnbooked(list) {
  return !list.calls.some((call) => call.appointment);
}

/** Whether the calendar of a call was not read. */
function isUnread(list) {
  return list.calls.some((call) => call.calendar_checked === false);
}

/** The card's own sentence about a list: what it means, and what to do next. `asked`: the submission. */
function listSentence(state, list, asked) {
  const isForTable = asked.task_category === "restaurant";
  const keys = [
    state === "list_needs_decision" && list.calls.at(-1)?.outcome === "booked_other_time" && "list_other_time_text",
    state === "list_needs_decision" && !list.not_called.length && "list_needs_decision_last_text",
    seemsUnbooked(state, list) && (isForTable ? "list_no_table_text" : "list_unbooked_text"),
    wasFoundUnreached(state, list) && "list_found_unreached_text",
    state === "list_done" && list.until === "booked" && isUnbooked(list) && "list_done_unbooked_text",
    `${state}_text`,
  ];
  const key = keys.find((name) => name && Object.hasOwn(TEXTS, name));
  const said = key ? locale.text(key, { callee: nameOf(list.calls.at(-1)), next: nameOf(list.not_called[0]) }) : "";
  // Why a call was refused is in its row.
  return state === "booked_other_time" ? `${said} ${locale.text("list_booked_text")}` : said;
}

/** Whether the list waits for a decision about a call in which somebody talked, and nothing shows a booking. */
function seemsUnbooked(state, list) {
  const last = list.calls.at(-1);
  return state === "list_needs_decision" && last?.outcome === "answered" && last.calendar_checked !== false && list.until === "booked";
}

/** A candidate's name, else its number. */
function nameOf(candidate) {
  return oneLine(candidate?.business_name) || phoneNumber(candidate?.respondent_phone);
}

/** Whether the card may offer to go on with the next candidate: no booking is known, and the user may decide. */
function canGoOn(state, list) {
  if (["list_refused", "list_needs_sign_in"].includes(state) || wasFoundUnreached(state, list)) return true;
  return state === "list_needs_decision" && list.not_called.length > 0 && list.calls.at(-1)?.outcome === "answered";
}

/** Whether the list stopped at an unknown outcome that was found later: nobody was reached. */
function wasFoundUnreached(state, list) {
  return state === "list_unknown" && ["not_reached", "failed", "canceled"].includes(list.calls.at(-1)?.outcome);
}

/** A row for each candidate: first those that were called, with their outcomes, then the others. `asked`: the submission. */
function candidateRows(list, state, asked) {
  const waiting = ["list_in_progress", "list_asking_all", "list_needs_decision"].includes(state) ? "list_waiting" : "list_not_called";
  return [
    ...list.calls.map((call) => candidateRow(call, stateOfCall(call), asked)),
    ...list.not_called.map((one) => candidateRow(one, waiting, asked)),
  ];
}

function candidateRow(call, state, asked) {
  const number = phoneNumber(call.respondent_phone);
  const name = oneLine(call.business_name);
  const { summary, steps } = reportOf(call);
  return {
    ...STATES[state],
    name: name || number,
    number: name ? number : "",
    said: [state === "in_progress" ? progressOf(call) : locale.text(state), rowSentence(call, state, asked)].filter(Boolean).join(". "),
    reported: isConfirmed(call) || mayContradict(call) ? [] : reportedParts(summary, steps),
  };
}

/** What KallyAI reports and suggests, each with whose words they are. */
function reportedParts(summary, steps) {
  return [summary && `${locale.text("summary")}: ${summary}`, steps && `${locale.text("steps")}: ${steps}`].filter(Boolean);
}

function rowSentence(call, state, asked) {
  if (state === "refused") return call.code ? errorSentence(call, true) : "";
  return state === "in_progress" ? "" : callSentence(state, call, asked);
}

/** Ids and codes of a list, as `technicalFacts` of a call. */
function listFacts(list) {
  const ids = list.calls.map((call) => ["call_id", oneLine(call.call_id ?? call.tracking_id)]);
  return [...ids, ["tracking_id", oneLine(list.tracking_id)], ["status_code", oneLine(list.status)]].filter(([, value]) => value);
}
