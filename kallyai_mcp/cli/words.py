"""The sentences of the terminal about calls: those of the cards, and others of its own."""

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError, PolicyError
from kallyai_mcp.languages import error_sentences, texts
from kallyai_mcp.tools.text.errors import may_have_been_placed, service_says
from kallyai_mcp.tools.text.plain import one_line, sentence

_OWN = {
    "the_number": "the number",
    "place_it": "Place this call?",
    "schedule_it": "Schedule this call?",
    "yes_or_no": "y/N",
    "not_called": "Not called.",
    "yes_needed": "Not called: --yes is needed where there is no terminal to ask on.",
    "made_before": "This call was made before. No new call was placed. To call again on purpose: --redial",
    "scheduled_before": "This call is scheduled already, and no other one was. To change it, cancel it first.",
    "scheduled_text": (
        "Due {when}. A kallyai-mcp server of yours must be running then: your AI app starts one, and `kallyai-mcp "
        "serve --transport http{more}` is one."
    ),
    "attempts": "Attempt {number} of {count}. Before: {earlier}.",
    "calling_now": "Calling {callee}",
    "canceled_now": "Canceled. Nobody was called.",
    "cancel_canceled": "Canceled. No further call will be placed.",
    "cancel_in_progress": (
        "Not canceled: the call is in progress, and can't be hung up. No further attempt will be placed."
    ),
    "cancel_unknown": "Not canceled: the call may have been placed, and how it ended is not known.",
    "cancel_over": "Nothing to cancel: it is over.",
    "goes_on": "The call goes on without this program. To follow it:",
    "no_calls": "No calls yet. `kallyai-mcp call{more}` places one.",
    "no_more": "No more calls.",
    "not_looked_up": "Whether it booked something: `kallyai-mcp show ID{more}` looks it up.",
    "unconfirmed": "The calendar event does not confirm this: {what}.",
    "more_calls": "{shown} shown. More: {command}",
    "of": "{part} of {all}",
    "the_appointment": "The appointment",
    "is_in": "{what} is in {file}.",
    "not_written": "{file} can't be written: {reason}",
    "nobody": "Not signed in. `kallyai-mcp login` signs in through the browser.",
    "signed_in": "Signed in{who}; kept in {place}",
    "embedded": "KallyAI: the embedded sandbox, which calls nobody",
    "as": " as {name}",
    "token_good": "Access token: good for {left}, until {end}",
    "token_ended": "Access token: no longer good, since {end}",
    "renews_itself": ", then renews itself",
    "now_signed_in": "Signed in{who}.",
    "signed_out": "Signed out.",
    "was_nobody": "Nobody was signed in.",
    "token_first": "KALLYAI_ACCESS_TOKEN is set, and goes before any sign-in. Remove it first.",
    "token_is_sign_in": "The sign-in is the setting KALLYAI_ACCESS_TOKEN; remove it to sign out.",
    "browser_opens": "Your browser opens KallyAI's sign-in page. If it does not, open this link:\n{link}",
    "open_link": "Open this link in any browser and sign in; it works for 5 minutes:\n{link}\n",
    "other_machine": (
        "If that browser runs on another machine, it ends on an address that it can't open.\n"
        "Copy that whole address (it begins with {address}) and paste it here:"
    ),
    "wrong_address": (
        "That is not the right address: it has to start with {address}/? and be of this sign-in. Copy the whole "
        "address bar."
    ),
    "sign_in_timed_out": "Nobody finished signing in before the link expired. `kallyai-mcp login` starts again.",
    "sign_in_canceled": "The sign-in was canceled on KallyAI's page. `kallyai-mcp login` starts again.",
    "sign_in_refused": "KallyAI's page refused the sign-in ({reason}). `kallyai-mcp login` starts again.",
    "none_running": "In progress: none",
    "running": "In progress, waiting for you, or with an unknown outcome:",
    "no_last": "Last calls: none",
    "last": "Last calls:",
}
"""The sentences that the cards don't have."""


class Words:
    """The sentences."""

    def __init__(self) -> None:
        self._of_cards = texts("en", "quota", "errors", "call")

    def say(self, key: str, **values: object) -> str:
        """The sentence with this key, with `values` for its placeholders."""
        return (_OWN.get(key) or self._of_cards[key]).format(**values)

    def has(self, key: str) -> bool:
        """Whether there is a sentence with this key."""
        return key in _OWN or key in self._of_cards

    def error(self, error: KallyAIError, *, places_calls: bool) -> str:
        """The text of an error, for a person: the card's sentence about its code, or about its kind.

        Args:
            error: The error.
            places_calls: The command should place a call, so the text says whether it was placed.
        """
        if places_calls and may_have_been_placed(error):
            return self._of_cards["unknown_text"]
        if isinstance(error, NotSignedInError) and error.status is None:
            said = error.message  # says how to sign in
        elif isinstance(error, PolicyError):
            said = one_line(error.message)
        else:
            known = error_sentences().get(error.code)
            said = known[0] if known else self._of_cards["refused_text" if places_calls else "unavailable_text"]
        said = f"{said[0].upper()}{said[1:]}"
        not_called = f"{self.say('not_called')} " if places_calls else ""
        return "\n".join(filter(None, (f"{not_called}{sentence(said)}", service_says(error))))

    def means_yes(self, reply: str) -> bool:
        """Whether the user's reply to the question `place_it` or `schedule_it` means yes."""
        return reply.strip().lower() in ("y", "yes")
