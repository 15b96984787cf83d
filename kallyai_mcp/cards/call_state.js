/** What the call card knows, as one frozen value, and how that changes. Nothing here touches the page or the host.
 *
 * Each function `after…` takes what the card knows, and returns what it knows afterwards.
 */

/** What a card knows before its first message. */
const START = Object.freeze({
  /** The arguments of make_call or call_around, if the card shows a result of one of them. */
  input: null,
  /** CallAnswer; of a list, its last call. */
  call: null,
  /** ListAnswer. */
  list: null,
  /** ErrorAnswer; it is shown in place of the call. */
  error: null,
  /** The conversation: {entries, isOpen}, of TranscriptAnswer. */
  talk: null,
  /** What the person is asked: {by, does, call}. `by` is "server" or "person", who began it; `does` is what a yes does:
   * "call", "cancel", or "call_now", which cancels a scheduled call first; `call` is the server's CallAnswer. */
  question: null,
  /** Whether the chat "waits" for its result, or has "stopped": then a call may have been placed. */
  chat: "waits",
  /** Whether get_call can be asked again ("possible"), or has failed too often ("failed"). */
  watch: "possible",
  /** What the person has decided about a list that waits for them: "" or "nobody_else". */
  decision: "",
  /** Who had the call placed: the "chat", or the "person" on this card. */
  placedBy: "chat",
  /** When the card learned that the call was asked for, in ms of the page's clock; null for another chat's call. */
  requestedAt: null,
  /** When the newest result came, in ms of the page's clock. */
  receivedAt: 0,
});

function changed(card, changes) {
  return Object.freeze({ ...card, ...changes });
}

/** The tool's arguments came at `now` (ms); only those of a tool that places calls are kept. */
function afterInput(card, input, now = 0) {
  const callees = typeof input?.respondent_phone === "string" || Array.isArray(input?.candidates);
  return callees && typeof input.task_description === "string" ? changed(card, { input, requestedAt: now }) : card;
}

/** The chat has stopped waiting for the tool's result. */
function afterCanceled(card) {
  return changed(card, { chat: "stopped" });
}

/** A result of make_call, call_around, get_call, or get_transcript came at `now` (ms). */
function afterResult(card, result, now) {
  const data = result?.structuredContent ?? {};
  const asked = changed(card, { watch: "possible" });
  if (result?.isError) return changed(asked, { error: errorOf(data, card) });
  if (Array.isArray(data.entries)) return afterTranscript(asked, data);
  if (typeof data.status !== "string") return changed(asked, { error: errorOf(data, card) });
  const told = changed(asked, { error: null, chat: "waits", question: null, receivedAt: now });
  const found = isList(data) ? afterList(told, data) : changed(told, { call: data });
  const isAsked = data.status === "needs_confirmation" && card.input !== null;
  return isAsked ? changed(found, { question: { by: "server", does: "call", call: data } }) : found;
}

/** A transcript came. While the card waited for it, a list may have gone on to its next call. */
function afterTranscript(card, { call_id, entries }) {
  const isAlone = card.call === null && card.input === null; // the card shows get_transcript
  const isOfThisCall = card.call?.call_id === call_id;
  return isAlone || isOfThisCall ? changed(card, { talk: { entries, isOpen: true } }) : card;
}

/** An error without a structure leaves it open whether a call was placed. */
function errorOf(data, { input }) {
  if (typeof data.code === "string") return data;
  return input ? { code: "", placed: "maybe" } : { code: "" };
}

function afterList(card, told) {
  const list = { calls: [], not_called: [], ...told }; // a list that nobody has agreed to has neither
  const call = list.calls.at(-1) ?? null;
  const isSameCallee = call?.respondent_phone === card.call?.respondent_phone;
  return changed(card, isSameCallee ? { list, call } : { list, call, talk: null, decision: "" });
}

/** get_call has failed too often, although the call goes on. */
function afterWatchFailed(card) {
  return changed(card, { watch: "failed" });
}

function afterTalkToggled(card) {
  return changed(card, { talk: { ...card.talk, isOpen: !card.talk.isOpen } });
}

/** The person wants to call again; a call that was placed is then repeated on purpose, one that was too late is placed now. */
function afterAskedAgain(card) {
  const { not_before: _, ...atOnce } = card.input;
  const again = card.call?.status === "expired" ? atOnce : card.input;
  const input = card.error ? card.input : { ...again, redial: true };
  return changed(card, { input, question: personAsks("call") });
}

/** The person wants to call the number that was probably meant. */
function afterCorrected(card, number) {
  const input = { ...card.input, respondent_phone: number };
  return changed(card, { input, question: personAsks("call") });
}

/** The person wants to cancel a scheduled call ("cancel"), or have it placed now ("call_now"). */
function afterAskedAbout(card, does) {
  return changed(card, { question: personAsks(does) });
}

function personAsks(does) {
  return { by: "person", does, call: {} };
}

/** The person does not want to call. What the server asked about is then refused here. */
function afterNo(card) {
  if (card.question.by === "person") return changed(card, { question: null });
  const error = { code: "declined_here", retryable: true, placed: "no" };
  return changed(card, { question: null, call: null, list: null, error });
}

/** The scheduled call was canceled on this card, before it was placed. */
function afterScheduleCanceled(card) {
  return changed(card, { error: { code: "canceled", retryable: false, placed: "no" } });
}

/** The person wanted, at `now` (ms), the call that they were asked about; `requestFor` says what is sent. */
function afterYes(card, now = 0) {
  const nothing = { question: null, call: null, list: null, error: null, talk: null };
  return changed(card, { ...nothing, placedBy: "person", requestedAt: now });
}

/** The person wants the list to go on with its next candidate. */
function afterGoOn(card) {
  const { confirmation: _, ...input } = card.input; // it is no longer valid
  const last = card.call?.call_id ?? card.call?.tracking_id;
  return changed(card, { input: { ...input, continue_after: last }, placedBy: "person" });
}

/** The person says that the list, which waits for a decision, is to call nobody else. */
function afterNobodyElse(card) {
  return changed(card, { decision: "nobody_else" });
}

/** The tool and the arguments that place, now, the call which the person was asked about. */
function requestFor(card) {
  // An earlier confirmation is no longer valid.
  const { confirmation: _, ...all } = card.input;
  const { not_before: __, ...atOnce } = all;
  const input = card.question.does === "call_now" ? atOnce : all;
  const { confirmation } = card.question.call;
  const agreed = confirmation === undefined ? input : { ...input, confirmation };
  return { tool: input.candidates ? "call_around" : "make_call", args: { ...agreed, wait_seconds: 0 } };
}

/** The id with which get_call finds what is shown: that of the list, else of the call. */
function idOf({ list, call }) {
  return (list ?? call)?.tracking_id ?? call?.call_id;
}

/** A key of STATES; "" for a transcript without its call. */
function stateOf(card) {
  if (card.error) return stateOfError(card.error, card.input !== null);
  if (card.list) return card.decision === "nobody_else" ? "list_answered" : stateOfList(card.list);
  if (card.call) return stateOfCall(card.call);
  if (card.talk) return "";
  if (card.chat === "stopped") return "unknown";
  return card.input ? "placing" : "loading";
}

/** Whether a phone call, or a list of them, is in progress. */
function isLive(card) {
  return ["in_progress", ...LIST_LIVE].includes(stateOf(card));
}
