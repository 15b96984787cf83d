/** What the call card shows of what it knows: a value for each part of the page, in the reader's language. */

/** The choices, the most likely one first. */
const CHOICES = ["open", "sign_in", "correct", "correct2", "correct3", "again", "chat", "check", "look", "next", "stop", "calendar", "conversation", "cancel", "now"];

/** Those that can be the primary one, the first that is shown; others are beside what the card says. */
const PRIMARY = ["open", "sign_in", "correct", "again", "chat", "check", "look", "next", "calendar"];

/** What is shown. `can`: what the host and the server allow: {tools, places, downloads, links, messages}. */
function shown(card, can) {
  const state = stateOf(card);
  const isOpen = ["loading", "placing"].includes(state) || isLive(card);
  const isSingle = !candidateCount(card.list, card.input);
  const ended = card.error || card.list || isOpen ? null : card.call;
  return {
    state,
    ...looksOf(card, state),
    callee: calleeOf(card),
    speaker: isCalleeKnown(card) ? calleeOf(card) : "",
    status: statusOf(card, state),
    headline: headlineOf(card),
    isPast: state === "booked" && wasBooked(card.call),
    facts: factsOf(card, state),
    about: (isOpen || state === "scheduled") && isSingle ? plain(askedOf(card).task_description) : "",
    said: sentenceOf(card, state),
    heard: state === "in_progress" ? saidSoFar(card.call) : [],
    rows: card.list && !card.error ? candidateRows(card.list, state, askedOf(card)) : null,
    dial: dialedOf(card.error),
    answers: shownAnswers(ended, askedOf(card)),
    report: reportOf(isReportTold(ended) ? null : ended),
    question: shownQuestion(card, can.places),
    choices: choicesOf(card, state, can),
    talk: card.talk,
    details: detailsOf(card, ended),
  };
}

/** The icons and the tone of a state. */
function looksOf(card, state) {
  const { call, error } = card;
  if (state === "booked" && wasBooked(call)) return WAS_BOOKED;
  if (state === "booked" && unconfirmedOf(call).length) return PARTLY_BOOKED;
  if (state === "answered" && (asksForBooking(askedOf(card)) || isHedged(call))) return UNSURE;
  if (needsSignIn(card, state)) return SIGN_IN;
  return STATES[state] ?? CONVERSATION;
}

/** The state in words; while nothing has come, what is being done. */
function statusOf({ input, call }, state) {
  if (call && state === "booked" && wasBooked(call)) return locale.text("was_booked");
  if (call && state === "booked" && unconfirmedOf(call).length) return locale.text("partly_booked");
  if (call && state === "answered" && isHedged(call)) return locale.text("answered_hedged");
  if (state === "in_progress") return progressOf(call);
  if (state !== "placing") return state && locale.text(state);
  if (input.candidates) return locale.text("placing_list");
  return locale.text(input.not_before ? "scheduling" : "placing");
}

/** The submission, as far as the card knows it. */
function askedOf({ call, input }) {
  return { ...call?.asked, ...input };
}

/** Who is called; for a list that is not about one of its candidates, how many. */
function calleeOf(card) {
  const { call, list, input } = card;
  const count = candidateCount(list, input);
  const isAboutOne = call && ABOUT_ONE.includes(stateOf(card));
  if (count && !isAboutOne) return locale.text("list_name", { count });
  return oneLine(call?.business_name ?? input?.business_name) || numberOf(card) || locale.text("call");
}

function isCalleeKnown(card) {
  return calleeOf(card) !== locale.text("call");
}

function numberOf({ call, input }) {
  return phoneNumber(call?.respondent_phone ?? input?.respondent_phone);
}

/** What the person must do or decide, the appointment, when a call is due, or what came of it; without any of these, a
 * list's task, or the callee of a call. */
function headlineOf(card) {
  if (card.error) return errorHeadline(card) || calleeOf(card);
  const asked = askedOf(card);
  if (!candidateCount(card.list, card.input)) return callHeadline(card.call, asked) || calleeOf(card);
  const state = stateOf(card);
  const told = card.list ? listHeadline(state, card.list) || (CALL_ENDED_LIST.includes(state) && callHeadline(card.call, asked)) : "";
  return told || oneLine(asked.task_description) || calleeOf(card);
}

function callHeadline(call, asked) {
  return appointmentHeadline(call, asked) || scheduledHeadline(call) || answeredHeadline(call, asked);
}

/** What the person must do before, or in place of, the call; "" for any other error. */
function errorHeadline(card) {
  const number = dialedOf(card.error);
  if (number) return locale.text("dial_yourself", { number });
  if (!needsSignIn(card, stateOf(card))) return "";
  return locale.text(card.error.link && card.input ? "sign_in_to_call" : "sign_in_first");
}

/** Whether the user has to sign in before anything else can be done. */
function needsSignIn({ error }, state) {
  return state === "list_needs_sign_in" || Boolean(error?.link) || SIGNED_OUT.includes(error?.code);
}

/** Who was called where the title is another one, which of a list, under which name it is booked, its number, and for how
 * long the call has lasted: {text}, {number}, or {elapsed, since}. */
function factsOf(card, state) {
  const { call, list } = card;
  const callee = calleeOf(card);
  const facts = headlineOf(card) === callee ? [] : [{ text: callee }];
  if (list && ABOUT_ONE.includes(state) && !asksForNext(state, list)) {
    const position = { number: list.calls.length || 1, count: candidateCount(list) };
    facts.push({ text: locale.text("list_position", position) });
  }
  if (state === "list_asking_all") {
    facts.push({ text: locale.text("list_called", { called: calledCount(list), count: candidateCount(list) }) });
  }
  if (BOOKED.includes(state)) facts.push(...bookedUnder(card));
  return [...facts, ...elapsedOf(card, state)];
}

/** How long ago the call was asked for: {elapsed} in seconds at the moment `since`, in ms of the page's clock. */
function elapsedOf({ call, input, requestedAt, receivedAt }, state) {
  const isPlacing = state === "placing" && !input.candidates;
  if (!isPlacing && state !== "in_progress") return [];
  if (Number.isFinite(call?.elapsed_seconds)) return [{ elapsed: call.elapsed_seconds, since: receivedAt }];
  return requestedAt === null ? [] : [{ elapsed: 0, since: requestedAt }];
}

/** Under which name something is booked, and the number that can change it. */
function bookedUnder(card) {
  const asked = askedOf(card);
  const name = isShown(card.call, asked, "user_name") ? oneLine(asked.user_name) : "";
  const number = card.call.respondent_phone ?? card.input?.respondent_phone;
  return [...(name ? [{ text: locale.text("under_name", { name }) }] : []), ...(isE164(number) ? [{ number }] : [])];
}

function sentenceOf(card, state) {
  const { call, list, error } = card;
  if (error) return errorSentence(error, card.input !== null);
  if (card.chat === "stopped" && !call) return locale.text("stopped_text");
  if (list) return listSentence(state, list, askedOf(card));
  if (!state) return "";
  return callSentence(state, call ?? {}, askedOf(card), headlineOf(card) !== calleeOf(card));
}

/** The emergency number that the person must dial; "" if there is none. */
function dialedOf(error) {
  return /^\d{2,6}$/.test(error?.dial ?? "") ? error.dial : "";
}

/** Facts for who wants to know more: pairs of a key of the texts and a value. `ended`: the call whose report is one. */
function detailsOf(card, ended) {
  const { call, list, error } = card;
  if (list && !error) return listFacts(list);
  const report = isReportTold(ended) ? reportOf(ended) : {};
  const reported = ["summary", "steps"].map((key) => [key, report[key]]).filter(([, text]) => text);
  return [...reported, ...technicalFacts(call, error, numberOf(card))];
}

/** The choices that are offered, in their order: {name, label, isPrimary}. */
function choicesOf(card, state, can) {
  const offered = offeredChoices(card, state, can);
  const names = CHOICES.filter((name) => offered[name]);
  const isAmbiguous = Boolean(offered.correct2); // of several numbers, none is more likely
  const primary = PRIMARY.find((name) => offered[name] && !(name === "correct" && isAmbiguous));
  const labels = choiceLabels(card, state);
  return names.map((name) => ({ name, label: labels[name], isPrimary: name === primary }));
}

/** For each choice, whether it makes sense now, and the host and the server allow it. */
function offeredChoices(card, state, can) {
  const { call, list, error, input } = card;
  const ended = list && call ? stateOfCall(call) : state; // how the call ended that the card is about
  const isRetryable = state !== "unknown" && (error ?? call)?.retryable === true;
  const mayCallAgain = isRetryable || (!error && !list && ["not_reached", "expired"].includes(state));
  const goesOn = can.places && input && list && !error && canGoOn(state, list);
  const isUnknown = state === "unknown" || (state === "list_unknown" && !goesOn);
  const isUnread = isUnknown || card.watch === "failed" || call?.calendar_checked === false;
  const waitsForDecision = state === "list_needs_decision" && list.not_called.length > 0;
  const mayCorrect = can.places && input && !card.question;
  const [meant, second, third] = meantNumbers(error);
  const isLost = state === "unknown" && !idOf(card) && numberOf(card);
  const isDue = can.places && state === "scheduled" && idOf(card);
  const hasConversation = call?.call_id && WITH_CONVERSATION.includes(ended);
  return {
    open: can.links && linkOf(error),
    sign_in: can.tools && can.links && needsSignIn(card, state) && !linkOf(error),
    correct: mayCorrect && meant,
    correct2: mayCorrect && second,
    correct3: mayCorrect && third,
    again: can.places && mayCallAgain && input && !card.question,
    cancel: isDue && !card.question,
    now: isDue && input && !card.question,
    chat: can.messages && isRetryable && !error && !input && call?.call_id,
    check: can.tools && idOf(card) && isUnread,
    look: can.messages && isLost,
    next: goesOn,
    stop: can.places && (["list_in_progress", "list_asking_all"].includes(state) || waitsForDecision),
    calendar: can.tools && can.downloads && BOOKED.includes(ended) && call?.call_id,
    conversation: card.talk || (can.tools && hasConversation),
  };
}

/** What the calendar's file does: it has the newest event of a booking, or removes a canceled one. */
function calendarKey(call) {
  if (call?.moved_by) return "calendar_moved";
  return call?.canceled_by ? "calendar_removes" : "calendar";
}

function againKey(card, state) {
  if (card.error) return "try_again";
  return state === "expired" ? "call_now" : "call_again";
}

function choiceLabels(card, state) {
  const callee = nameOf(card.list?.not_called[0]);
  const [meant, second, third] = meantNumbers(card.error);
  const use = (number) => locale.text("use_number", { number: phoneNumber(number) });
  return {
    open: locale.text(card.error?.link ? "sign_in" : "upgrade"),
    sign_in: locale.text("sign_in"),
    correct: use(meant),
    correct2: use(second),
    correct3: use(third),
    cancel: locale.text("cancel_call"),
    now: locale.text("call_now"),
    again: locale.text(againKey(card, state)),
    chat: locale.text("ask_again"),
    check: locale.text("check_again"),
    look: locale.text("ask_check"),
    next: callee ? locale.text("list_next", { callee }) : locale.text("try_again"),
    stop: locale.text("list_stop"),
    calendar: locale.text(calendarKey(card.call)),
    conversation: locale.text(card.talk?.isOpen ? "hide_conversation" : "conversation"),
  };
}

/** What a screen reader says when the card comes to know more; "" for nothing new. */
function newsOf(before, card) {
  const { list, call } = card;
  const isNext = list?.calls.length > 1 && call.respondent_phone !== before.call?.respondent_phone;
  if (isNext && isLive(card)) return locale.text("calling", { callee: calleeOf(card) });
  if (!isLive(before) || isLive(card)) return "";
  const outcome = locale.text(stateOf(card));
  return locale.text(list ? "list_ended" : "ended", { callee: calleeOf(card), outcome });
}

/** What the model is told about a call that the person had placed on the card, without any text from outside; "" for
 * nothing. */
function messageForModel(card) {
  if (card.placedBy !== "person" || !(card.list ?? card.call)) return "";
  return (
    `From the call card the user had the call placed, on purpose: ${stateOf(card)}, id ${identifier(idOf(card))}. ` +
    "get_call has more. Do not place it again."
  );
}

/** The web page on which the user can remove the cause of an error (sign in, upgrade); "" if there is none. */
function linkOf(error) {
  const link = error?.link ?? error?.upgrade_url;
  return /^https?:\/\//.test(link ?? "") ? link : "";
}

function identifier(id) {
  return /^[\w-]{1,80}$/.test(id ?? "") ? id : "unknown";
}
