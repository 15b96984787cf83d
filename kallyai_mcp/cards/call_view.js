/** What the call card says about a result: its state, the icon and tone of the state, and sentences. */

const CALLING = { icons: ["phone", "waves"], tone: "live" };
const UNKNOWN = { icons: ["question"], tone: "warn" };

/** Each state with its icons and its tone; its text has the same key in the texts. */
const STATES = {
  loading: { icons: ["clock"], tone: "quiet" },
  placing: CALLING,
  needs_confirmation: { icons: ["question"], tone: "live" },
  in_progress: CALLING,
  scheduled: { icons: ["clock"], tone: "live" },
  expired: { icons: ["cross"], tone: "warn" },
  booked: { icons: ["tick"], tone: "good" },
  booked_other_time: { icons: ["clock"], tone: "warn" },
  answered: { icons: ["speech"], tone: "quiet" },
  not_reached: { icons: ["phone", "missed"], tone: "warn" },
  failed: { icons: ["broken"], tone: "bad" },
  canceled: { icons: ["slash"], tone: "quiet" },
  unknown: UNKNOWN,
  refused: { icons: ["cross"], tone: "bad" },
  unavailable: { icons: ["question"], tone: "quiet" },
  list_in_progress: CALLING,
  list_asking_all: CALLING,
  list_ending: CALLING,
  list_booked: { icons: ["tick"], tone: "good" },
  list_answered: { icons: ["speech"], tone: "quiet" },
  list_done: { icons: ["speech"], tone: "quiet" },
  list_needs_decision: UNKNOWN,
  list_unknown: UNKNOWN,
  list_needs_sign_in: { icons: ["cross"], tone: "warn" },
  list_refused: { icons: ["cross"], tone: "bad" },
  list_canceled: { icons: ["slash"], tone: "quiet" },
  list_waiting: { icons: ["hollow"], tone: "quiet" },
  list_not_called: { icons: ["slash"], tone: "quiet" },
};

/** A transcript without its call, and a booking that a later call has moved or canceled. */
const CONVERSATION = { icons: ["speech"], tone: "quiet" };
const WAS_BOOKED = { icons: ["clock"], tone: "quiet" };

/** A booking that does not show all that was asked for; a conversation without a booking or a certain answer; a person who
 * has to sign in. */
const PARTLY_BOOKED = { icons: ["tick"], tone: "warn" };
const UNSURE = { icons: ["speech"], tone: "warn" };
const SIGN_IN = { icons: ["person"], tone: "live" };

/** States of a call in which something was booked. */
const BOOKED = ["booked", "booked_other_time"];

/** Whether a later call has moved the booking, or they said in it that it is canceled. */
function wasBooked(call) {
  return Boolean(call.moved_by ?? call.canceled_by);
}

/** States of a call in which somebody may have talked. */
const WITH_CONVERSATION = ["booked", "booked_other_time", "answered", "failed"];

/** A key of STATES for a call's structure. */
function stateOfCall(call) {
  if (Object.hasOwn(STATES, call.outcome)) return call.outcome; // then the status is KallyAI's own word, whatever it is
  return ["in_progress", "needs_confirmation", "scheduled", "expired", "refused"].includes(call.status) ? call.status : "unknown";
}

/** A key of STATES for an error's structure; `placesCalls`: it is an error of make_call. */
function stateOfError(error, placesCalls) {
  if (error.code === "canceled") return "canceled";
  if (error.placed === "maybe" || error.code === "outcome_unknown") return "unknown";
  return placesCalls || error.status === "refused" ? "refused" : "unavailable";
}

/** Between the parts of a headline. */
const DOT = " · ";

/** How far a call in progress is: that it rings, or that they talk, where KallyAI reports it. */
function progressOf(call) {
  const { line } = call.live ?? {};
  return locale.text(["ringing", "talking"].includes(line) ? line : "in_progress");
}

/** The last sentences of a call in progress, where KallyAI reports them: entries of a transcript. */
function saidSoFar(call) {
  const said = call.live?.said;
  return Array.isArray(said) ? said.slice(-2) : [];
}

/** The headline of a call in which something was booked: "Wed, Jan 28 · 7:00 PM · 4 people"; "" for any other call. */
function appointmentHeadline(call, asked) {
  const when = dottedTime(call, call?.appointment?.start);
  if (!when || !BOOKED.includes(stateOfCall(call))) return "";
  return capitalized([when, peopleBooked(call, asked)].filter(Boolean).join(DOT));
}

/** The number of people of a booking, or that it is not confirmed; "" if none was asked for. */
function peopleBooked(call, asked) {
  const people = peopleCount(asked.party_size);
  if (!people || isShown(call, asked, "party_size")) return people;
  return locale.text("people_unconfirmed", { people });
}

/** What came of a conversation in which nothing is known to be booked: the answer to the only question, how many questions
 * have an answer, or that no booking is found; "" if KallyAI's report has to say it. */
function answeredHeadline(call, asked) {
  if (!call || stateOfCall(call) !== "answered") return "";
  if (asksForBooking(asked)) return locale.text(call.calendar_checked === false ? "booking_not_known" : "no_booking");
  const questions = (call.answers ?? []).filter((answer) => oneLine(answer.question));
  if (questions.length > 1) {
    const found = questions.filter((answer) => quoted(answer.quote)).length;
    return locale.text("answers_found", { found, count: questions.length });
  }
  return onlyAnswer(call)?.reply ?? "";
}

/** Whether the callee was not certain of an answer. */
function isHedged(call) {
  return answersOf(call).some((answer) => answer.isHedged);
}

/** The answers that are shown; the one that is the headline without its words. */
function shownAnswers(call, asked) {
  const isHeadline = onlyAnswer(call) !== null && answeredHeadline(call, asked) === onlyAnswer(call).reply;
  return answersOf(call).map((answer) => ({ ...answer, isHeadline }));
}

/** How long an answer may be that is a headline, in characters. */
const HEADLINE_LENGTH = 90;

/** The callee's only words, if a headline has room for them; else null. */
function onlyAnswer(call) {
  const answers = answersOf(call);
  const fits = answers.length === 1 && answers[0].reply && answers[0].reply.length <= HEADLINE_LENGTH;
  return fits ? answers[0] : null;
}

function asksForBooking(asked) {
  return Boolean(asked.appointment_date) || ["restaurant", "clinic", "hotel"].includes(asked.task_category);
}

function unconfirmedOf(call) {
  return Array.isArray(call.appointment?.unconfirmed) ? call.appointment.unconfirmed.slice(0, 8) : [];
}

/** What the callee was asked for, and nothing confirms, in words: "number of people, “by the window”". */
function unconfirmedWords(named) {
  const words = named.map((name) => (Object.hasOwn(TEXTS, `missing_${name}`) ? locale.text(`missing_${name}`) : quoted(oneLine(name))));
  return words.join(", ");
}

/** The headline of a call that is scheduled: "Calls Mon, Jan 26 · 10:00 AM"; "" for any other call. */
function scheduledHeadline(call) {
  const when = call?.status === "scheduled" ? dottedTime(call, call.scheduled_for) : "";
  return when && locale.text("calls_at", { when });
}

/** "Wed, Jan 28 · 7:00 PM" in the zone of the request; "" without a day. */
function dottedTime(call, start) {
  const [date, time] = startOf(start);
  if (!date) return "";
  return time ? locale.date(date) + DOT + inZone(locale.timeOfDay(time), call, start) : locale.date(date);
}

/** Whether the calendar's event shows what was asked for in this field. */
function isShown(call, asked, field) {
  return asked[field] !== undefined && !call.appointment?.unconfirmed?.includes(field);
}

function peopleCount(people) {
  return Number.isInteger(people) ? locale.plural("people_count", people).replace(" ", "\u00a0") : "";
}

function capitalized(text) {
  return text.replace(/^./, (c) => c.toUpperCase());
}

/** What KallyAI reports of a call: its summary and next steps, in quotation marks. A report of a busy line, or of one that
 * nobody picked up, adds nothing to the card's own sentence. What KallyAI suggests ("Nothing more to do") fits only after a
 * conversation, where nothing asked for is left unconfirmed, until a later call was about its booking. */
function reportOf(call) {
  const adds = call && !["busy", "no_answer"].includes(call.status);
  const talked = adds && [...BOOKED, "answered"].includes(call.outcome);
  const suggests = talked && !unconfirmedOf(call).length && !wasBooked(call) && !call.asked_about_in;
  return { summary: adds ? quoted(call.highlights) : "", steps: suggests ? quoted(call.next_steps) : "" };
}

/** The words that decided the outcome, and what the callee said to each question: {question, reply, at, isHedged}. `reply`
 * is "" if nothing answered the question, and `question` if there was none; `at` is when it was said, "0:34"; `isHedged`:
 * the callee was not certain. */
function answersOf(call) {
  const decisive = call?.evidence ? [call.evidence] : [];
  return [...decisive, ...(call?.answers ?? [])].map(({ question, quote, at, hedged }) => ({
    question: oneLine(question, LIMIT.line),
    reply: quoted(quote),
    at: oneLine(at, 20),
    isHedged: hedged === true,
  }));
}

/** Whether the report is told already: by the calendar, which confirms all that was asked for, or by the callee's words; or
 * whether it may contradict the calendar, which has another time. */
function isReportTold(call) {
  return isConfirmed(call) || mayContradict(call) || answersOf(call).length > 0;
}

/** Whether KallyAI's report may name another time than the calendar. */
function mayContradict(call) {
  return call?.outcome === "booked_other_time" && Boolean(call.appointment);
}

/** Whether the calendar confirms all that was asked for. */
function isConfirmed(call) {
  return call?.outcome === "booked" && call.appointment && !call.appointment.unconfirmed;
}

/** The card's own sentence about a call; "" if KallyAI's report is enough. `asked`: the submission; `isHeadline`: the
 * appointment is told above it. */
function callSentence(state, call, asked, isHeadline = false) {
  const values = {
    when: appointmentTime(call),
    asked: timeOf(asked.appointment_date, asked.appointment_time),
    agreed: oneLine(call.appointment?.agreed?.time ?? ""),
  };
  const isDated = values.when && state === "booked";
  const keys = [
    state === "unknown" && call.placed !== "maybe" && "unclear_text",
    ["not_reached", "failed"].includes(state) && `${call.code === "machine" ? call.code : call.status}_text`,
    state === "answered" && asksForBooking(asked) && (call.calendar_checked === false ? "not_checked_text" : "not_booked_text"),
    state === "booked_other_time" && values.agreed && "booked_other_time_text_agreed",
    state === "booked_other_time" && values.asked && "booked_other_time_text_asked",
    !isDated && `${state}_text`,
  ];
  const key = keys.find((name) => name && Object.hasOwn(TEXTS, name));
  const isToldBelow = key === "answered_text" && (call.highlights || answersOf(call).length > 0);
  const said = key && !isToldBelow ? locale.text(key, values) : "";
  const when = values.when && BOOKED.includes(state) && !isHeadline && locale.text("booked_text_dated", values);
  const laterKey = call.moved_by ? "moved_text" : call.canceled_by ? "canceled_by_text" : call.asked_about_in && "asked_about_text";
  const later = laterKey && locale.text(laterKey);
  const isToldAbove = (name) => isHeadline && name === "party_size"; // by `peopleBooked`
  const missing = unconfirmedWords(unconfirmedOf(call).filter((name) => !isToldAbove(name)));
  const unconfirmed = missing && locale.text("unconfirmed_text", { missing });
  return capitalized([later, when, said, unconfirmed].filter(Boolean).join(" "));
}

/** When an appointment begins, or a scheduled call is due, in the zone of the request; with its name if the reader's
 * clock shows another time. */
function appointmentTime(call) {
  const start = call.appointment?.start ?? call.scheduled_for;
  const when = timeOf(...startOf(start));
  return inZone(when, call, start);
}

/** `when` with the name of the request's zone, if the reader's clock shows another time at `start`. */
function inZone(when, call, start) {
  const differs = when && !locale.isOwnClock(start, call.timezone);
  return differs ? locale.text("time_of", { when, place: locale.placeOf(call.timezone) }) : when;
}

/** The date and the time in an ISO 8601 moment, by the clock there. */
function startOf(start) {
  return (/^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d))?/.exec(start ?? "") ?? []).slice(1);
}

/** A date ("2026-01-28") and a time ("19:00") in words, either may be missing; "" without both. */
function timeOf(date, time) {
  if (!date) return locale.timeOfDay(time);
  return time ? locale.dateTime(date, time) : locale.date(date);
}

/** When the call took place, with which number, and how long, and ids and codes: pairs of a key of the texts and a value. */
function technicalFacts(call, error, number) {
  const lasted = Number.isFinite(call?.duration_seconds) ? duration(call.duration_seconds) : "";
  const credits = Number.isFinite(call?.credits_used) ? locale.plural("credits", call.credits_used) : "";
  return [
    ["number", number],
    ["called_at", locale.moment(call?.created_at)],
    ["lasted", [lasted, credits].filter(Boolean).join(", ")],
    ["call_id", call?.call_id],
    ["tracking_id", call?.tracking_id],
    ["status_code", call && !error ? call.status : ""],
    ["error_code", error?.code],
    ["correlation_id", error?.correlation_id],
  ].map(([key, value]) => [key, oneLine(value)]).filter(([, value]) => value);
}

/** `text` in quotation marks; its own ones are those of a quotation within another. */
function quoted(text) {
  if (typeof text !== "string" || !text.trim()) return "";
  const [open, close] = locale.text("inner_quotes");
  const inner = plain(text, LIMIT.page).replace(/[“«]/g, open).replace(/[”»]/g, close);
  return locale.text("quotation", { text: inner });
}
