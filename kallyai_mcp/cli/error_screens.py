"""What a person is shown about an error: whether somebody was called, why, and what to do."""

from kallyai_mcp.api import errors
from kallyai_mcp.calls.errors import OptedOutError, RecordDeletedError
from kallyai_mcp.calls.outcome import proves_no_call
from kallyai_mcp.calls.quota import NothingLeftError
from kallyai_mcp.cli.screen import Fact, Screen, Tone
from kallyai_mcp.cli.service import Service
from kallyai_mcp.tools.argument_types import RefusedNumberError
from kallyai_mcp.tools.text.errors import all_used, meaning, used_figures
from kallyai_mcp.tools.text.plain import day, one_line, quoted, sentence

_SAY = {
    "not_signed_in": "Not signed in to KallyAI.",
    "emergency": "{number} is an emergency number. Dial it yourself, now.",
    "premium": "This is a premium-rate number, and KallyAI does not call those.",
    "country": "This number is outside the United States, Canada, and Europe, where KallyAI calls.",
    "lost": "No usable answer came after the request was sent, so they may have been called. "
    "Look before you call again.",
    "unknown_id": "No call has this id.",
    "again": "Try again {again}.",
}


def refusal_screen(error: errors.KallyAIError, service: Service, again: str = "") -> Screen:
    """Why a call was not placed, or that it may have been; `again` as in `error_screen`."""
    return error_screen(error, service, places_calls=True, again=again)


def error_screen(
    error: errors.KallyAIError, service: Service, *, places_calls: bool, again: str = ""
) -> Screen:
    """An error in a person's words; with `places_calls`, whether somebody was called. `again` is
    when that may be tried again, if it is known: "at 4:07 PM".
    """
    may_have_called = places_calls and not proves_no_call(error)
    if may_have_called:
        look = Fact("Your calls", service.command("calls"))
        return Screen(
            Tone.UNSURE,
            "Not known",
            (_SAY["lost"],),
            tuple(_from_kallyai(error)),
            steps=(look,),
            is_simulated=service.is_simulated,
        )
    return Screen(
        Tone.BAD,
        "Not called" if places_calls else "Error",
        (_why(error),),
        (*_asked_at(error, service), *_from_kallyai(error)),
        (_SAY["again"].format(again=again),) if again else (),
        steps=tuple(_what_helps(error, service)),
        is_simulated=service.is_simulated,
    )


def _why(error: errors.KallyAIError) -> str:
    match error:
        case errors.NotSignedInError():
            return _SAY["not_signed_in"]
        case RefusedNumberError(dial=str(number)):
            return _SAY["emergency"].format(number=number)
        case RefusedNumberError(code="toll_number"):
            return _SAY["premium"]
        case RefusedNumberError(code="unsupported_country"):
            return _SAY["country"]
        case errors.KallyAIError(code="call_not_found"):
            return _SAY["unknown_id"]
        case NothingLeftError():
            back = day(error.renews, error.renews)
            return f"{_begun(all_used(error, error.plan_type))}. They come back {back}."
        case errors.QuotaExceededError() if used_figures(error):
            return f"{_begun(used_figures(error))}."
    return _begun(sentence(meaning(error)))


def _begun(text: str) -> str:
    """A text as the beginning of a sentence."""
    return f"{text[:1].upper()}{text[1:]}"


def _asked_at(error: errors.KallyAIError, service: Service) -> list[Fact]:
    """Which KallyAI was asked, where the address may be what is wrong."""
    if not isinstance(error, errors.NotConnectedError | errors.NotSignedInError):
        return []
    return [Fact("Address", service.place)]


def _from_kallyai(error: errors.KallyAIError) -> list[Fact]:
    """KallyAI's own words, and what its support asks for."""
    if error.status is None or error.code == "call_not_found":
        return []
    facts = []
    said = errors.own_words(error)
    if said:
        facts.append(Fact("KallyAI", quoted(said)))
    if error.correlation_id:
        facts.append(Fact("For its support", one_line(error.correlation_id, 80)))
    return facts


def _what_helps(error: errors.KallyAIError, service: Service) -> list[Fact]:
    match error:
        case errors.NotSignedInError():
            return [Fact("To sign in", service.command("login").removesuffix(" --sandbox"))]
        case errors.QuotaExceededError(upgrade_url=str(url)):
            return [Fact("To get more now", one_line(url))]
        case errors.KallyAIError(code="call_not_found"):
            return [Fact("Your calls", service.command("calls"))]
        case RecordDeletedError():
            return [Fact("To call again", "the same command with --redial")]
        case OptedOutError():
            remove = service.command("opt-outs", "remove", "NUMBER")
            return [Fact("To let it be called", remove)]
    return []
