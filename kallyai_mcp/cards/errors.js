/** What a card says about an error: sentences of its own for each code. */

/** The card's own sentence about an error. The texts of KallyAI and of the server are for the agent.
 *
 * @param error The error's structure; {} when there is none.
 * @param placesCalls It is an error of make_call.
 */
function errorSentence(error, placesCalls) {
  const { code } = error;
  if (/^\d{2,6}$/.test(error.dial ?? "")) return locale.text("emergency");
  if (placesCalls && error.link) return locale.text("sign_in_text");
  if (code === "invalid_arguments") return wrongArguments(error);
  if (code === "quota_exceeded" && error.used_up) return usedUpSentence(error.used_up);
  const known = knownError(code);
  const told = [known && locale.text(known), error.placed === "maybe" && locale.text("unknown_text")].filter(Boolean);
  if (told.length) return told.join(" ");
  return locale.text(placesCalls ? "refused_text" : "unavailable_text");
}

/** Which allowance is used up, and when it renews. `used`: UsedUp. */
function usedUpSentence({ unit, allocated, renews }) {
  const key = Number.isFinite(allocated) ? `used_up_${unit}` : "error quota_exceeded";
  const day = locale.billingDay(renews);
  const sentences = [locale.text(key, { count: locale.number(allocated) }), day && locale.text("used_up_renews", { day })];
  return sentences.filter(Boolean).join(" ");
}

/** The codes of errors that go when the user signs in. */
const SIGNED_OUT = [
  "unauthorized", "not_signed_in", "missing_token", "token_expired", "sign_in_timed_out", "sign_in_refused", "forbidden",
];

/** What is wrong, by the beginning of an argument's name; of several, the first that fits. */
const WRONG = [
  ["respondent_phone", "wrong_number"],
  ["candidates", "wrong_candidate"],
  ["user_phone", "wrong_own_number"],
  ["appointment_date", "wrong_day"],
  ["departure_date", "wrong_departure"],
  ["appointment_time", "wrong_time"],
  ["other_times", "wrong_time"],
  ["party_size", "wrong_people"],
  ["not_before", "wrong_schedule"],
];

/** What is wrong with the arguments, in a person's words, and what was probably meant. */
function wrongArguments(error) {
  const wrong = Array.isArray(error.arguments) ? error.arguments : [];
  const keys = wrong.map((one) => wrongKey(String(one?.argument), one?.kind)).filter(Boolean);
  if (!keys.length) return locale.text(knownError("invalid_arguments"));
  const numbers = meantNumbers(error).map(phoneNumber).join(locale.text("or"));
  const next = numbers ? locale.text("did_you_mean", { numbers }) : locale.text("chat_can_correct");
  return [...new Set(keys)].map((key) => locale.text(key)).concat(next).join(" ");
}

function wrongKey(argument, kind) {
  if (argument === "respondent_phone" && kind === "no_country") return "wrong_no_country";
  return WRONG.find(([start]) => argument.startsWith(start))?.[1];
}

/** The numbers (E.164) that the server suggests in place of the one to call. */
function meantNumbers(error) {
  const wrong = (Array.isArray(error?.arguments) ? error.arguments : []).find((one) => one?.argument === "respondent_phone");
  const meant = Array.isArray(wrong?.suggestions) ? wrong.suggestions : [];
  return meant.filter(isE164).slice(0, 3);
}

/** The key of the text about an error's code; undefined if there is none. */
function knownError(code) {
  return Object.keys(TEXTS).find((key) => key.startsWith("error ") && key.split(" ").includes(code));
}
