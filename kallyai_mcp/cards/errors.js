/** What a card says about an error: sentences of its own for each code. */

/** The card's own sentence about an error. The texts of KallyAI and of the server are for the agent.
 *
 * @param error The error's structure; {} when there is none.
 * @param placesCalls It is an error of make_call.
 */
function errorSentence(error, placesCalls) {
  const { code } = error;
  if (/^\d{2,6}$/.test(error.dial ?? "")) return locale.text("emergency", { number: error.dial });
  if (code === "quota_exceeded" && error.used_up) return usedUpSentence(error.used_up);
  const known = Object.keys(TEXTS).find((key) => key.startsWith("error ") && key.split(" ").includes(code));
  if (known) return locale.text(known);
  if (error.placed === "maybe") return locale.text("unknown_text");
  return locale.text(placesCalls ? "refused_text" : "unavailable_text");
}

/** Which allowance is used up, and when it renews. `used`: UsedUp. */
function usedUpSentence({ unit, allocated, renews }) {
  const key = Number.isFinite(allocated) ? `used_up_${unit}` : "error quota_exceeded";
  const day = locale.billingDay(renews);
  const sentences = [locale.text(key, { count: locale.number(allocated) }), day && locale.text("used_up_renews", { day })];
  return sentences.filter(Boolean).join(" ");
}
