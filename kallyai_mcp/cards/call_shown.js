/** What the call card shows of what it knows: a value for each part of the page, in the reader's language. */

/** The choices, the most likely one first. */
const CHOICES = ["open", "again", "chat", "check", "next", "stop", "calendar", "conversation"];

/** Those that can be the primary one, the first that is shown; others are beside what the card says. */
const PRIMARY = ["open", "again", "chat", "check", "next", "calendar"];

/** What is shown. `can`: what the host and the server allow: {tools, places, downloads, links, messages}. */
function shown(card, can) {
  const state = stateOf(card);
  const isOpen = ["loading", "placing"].includes(state) || isLive(card);
  const isSingle = !candidateCount(card.list, card.input);
  const isReported = !card.error && !card.list && !isOpen;
  return {
    state,
    ...(STATES[state] ?? STATES.unavailable),
    callee: calleeOf(card),
    status: state && locale.text(state),
    headline: headlineOf(card),
    facts: factsOf(card, state),
    about: isOpen && isSingle ? plain(askedOf(card).task_description) : "",
    said: sentenceOf(card, state),
    rows: card.list && !card.error ? candidateRows(card.list, state, askedOf(card)) : null,
    report: reportOf(isReported ? card.call : null),
    question: shownQuestion(card, can.places),
    choices: choicesOf(card, state, can),
    talk: card.talk,
    details: detailsOf(card),
  };
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

function numberOf({ call, input }) {
  return phoneNumber(call?.respondent_phone ?? input?.respondent_phone);
}

/** The appointment; without one, a list's task, or the callee of a call. */
function headlineOf(card) {
  const asked = askedOf(card);
  if (candidateCount(card.list, card.input)) return oneLine(asked.task_description) || calleeOf(card);
  const appointment = card.error ? "" : appointmentHeadline(card.call, asked);
  return appointment || calleeOf(card);
}

/** Who was called where the title is another one, which of a list, and for how long: {text}, or {elapsed} in seconds. */
function factsOf(card, state) {
  const { call, list } = card;
  const callee = calleeOf(card);
  const facts = headlineOf(card) === callee ? [] : [{ text: callee }];
  if (list && ABOUT_ONE.includes(state)) {
    const position = { number: list.calls.length || 1, count: candidateCount(list) };
    facts.push({ text: locale.text("list_position", position) });
  }
  if (state === "in_progress" && Number.isFinite(call.elapsed_seconds)) facts.push({ elapsed: call.elapsed_seconds });
  return facts;
}

function sentenceOf(card, state) {
  const { call, list, error } = card;
  if (error) return errorSentence(error, card.input !== null);
  if (card.chat === "stopped" && !call) return locale.text("stopped_text");
  if (list) return listSentence(state, list);
  if (!state) return "";
  return callSentence(state, call ?? {}, askedOf(card), headlineOf(card) !== calleeOf(card));
}

function detailsOf(card) {
  const { call, list, error } = card;
  return list && !error ? listFacts(list) : technicalFacts(call, error, numberOf(card));
}

/** The choices that are offered, in their order: {name, label, isPrimary}. */
function choicesOf(card, state, can) {
  const offered = offeredChoices(card, state, can);
  const names = CHOICES.filter((name) => offered[name]);
  const primary = PRIMARY.find((name) => offered[name]);
  const labels = choiceLabels(card, state);
  return names.map((name) => ({ name, label: labels[name], isPrimary: name === primary }));
}

/** For each choice, whether it makes sense now, and the host and the server allow it. */
function offeredChoices(card, state, can) {
  const { call, list, error, input } = card;
  const ended = list && call ? stateOfCall(call) : state; // how the call ended that the card is about
  const isRetryable = state !== "unknown" && (error ?? call)?.retryable === true;
  const goesOn = can.places && input && list && !error && canGoOn(state, list);
  const isUnknown = state === "unknown" || (state === "list_unknown" && !goesOn);
  const isUnread = isUnknown || card.watch === "failed" || call?.calendar_checked === false;
  const waitsForDecision = state === "list_needs_decision" && list.not_called.length > 0;
  const hasConversation = call?.call_id && WITH_CONVERSATION.includes(ended);
  return {
    open: can.links && linkOf(error),
    again: can.places && isRetryable && input && !card.question,
    chat: can.messages && isRetryable && !error && !input && call?.call_id,
    check: can.tools && idOf(card) && isUnread,
    next: goesOn,
    stop: can.places && (state === "list_in_progress" || waitsForDecision),
    calendar: can.tools && can.downloads && BOOKED.includes(ended) && call?.call_id,
    conversation: card.talk || (can.tools && hasConversation),
  };
}

function choiceLabels(card, state) {
  const [following] = card.list?.not_called ?? [];
  const callee = oneLine(following?.business_name) || phoneNumber(following?.respondent_phone);
  const isDecision = state === "list_needs_decision";
  return {
    open: locale.text(card.error?.link ? "sign_in" : "upgrade"),
    again: locale.text(card.error ? "try_again" : "call_again"),
    chat: locale.text("ask_again"),
    check: locale.text("check_again"),
    next: isDecision ? locale.text("list_next", { callee }) : locale.text("try_again"),
    stop: locale.text(isDecision ? "list_booked_stop" : "list_stop"),
    calendar: locale.text("calendar"),
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
