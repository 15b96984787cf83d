/** What a card says about an error: sentences of its own for each code. */

/** The card's own sentence about an error; KallyAI's and the server's words are for the agent.
 *
 * @param error The error's structure; {} when there is none.
 * @param placesCalls It is an error of make_call.
 */
function errorSentence(error, placesCalls) {
  const { code } = error;
  if (/^\d{2,6}$/.test(error.dial ?? "")) return locale.text("emergency", { number: error.dial });
  const known = Object.keys(TEXTS.en).find((key) => key.startsWith("error ") && key.split(" ").includes(code));
  if (known) return locale.text(known);
  if (error.placed === "maybe") return locale.text("unknown_text");
  return locale.text(placesCalls ? "refused_text" : "unavailable_text");
}
