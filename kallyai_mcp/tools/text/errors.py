"""Texts of errors: whether a call was placed, what happened, what to do next, and KallyAI's own words."""

from collections.abc import Sequence
from datetime import datetime

from kallyai_mcp.api import errors
from kallyai_mcp.api.models import Statistics, Subscription
from kallyai_mcp.tools.text.account import UNITS_ES, Allowance, allowances, billing_day, plan_name, used_up
from kallyai_mcp.tools.text.error_words import EXPLANATIONS
from kallyai_mcp.tools.text.plain import capitalized, duration, link, number, one_line, quoted, word

_MAX_LENGTH = 600
"""Characters of KallyAI's own words in an error."""

_KINDS = (
    errors.NotConnectedError,
    errors.ResponseLostError,
    errors.UnreadableResponseError,
    errors.NotFoundError,
    errors.BotCheckError,
    errors.RateLimitedError,
    errors.UnavailableError,
    errors.UnauthorizedError,
    errors.ServiceError,
)
"""For an error whose code is not in `EXPLANATIONS`, the `default_code` of the first of these classes explains it."""

_CODES_SHOWN = (errors.ServiceError, errors.NotConnectedError, errors.ResponseLostError, errors.UnreadableResponseError)


def error_text(error: errors.KallyAIError, *, places_calls: bool, spanish: bool = False) -> str:
    """The text of a tool's error; with `places_calls`, it says whether a call was placed."""
    if places_calls and may_have_been_placed(error):
        return with_service_words(_maybe(error, spanish), error, spanish=spanish)
    if isinstance(error, errors.NotSignedInError):
        # Its message says in English what to do.
        text = "no hay sesión iniciada en KallyAI. Inicia sesión y vuelve a intentarlo." if spanish else error.message
    else:
        happened, todo = _explain(error, spanish)
        code = f" ({word(error.code)})" if isinstance(error, _CODES_SHOWN) else ""
        text = f"{happened}{code}. {todo}."
    not_called = "No se llamó" if spanish else "Not called"
    text = f"{not_called}: {text}" if places_calls else capitalized(text)
    return with_service_words(text, error, spanish=spanish)


def quota_text(
    error: errors.QuotaExceededError,
    usage: tuple[Statistics, Subscription | None] | None,
    *,
    now: datetime,
    spanish: bool = False,
) -> str:
    """The text of a refusal because the quota is used up: what is used up, when it renews, and how to get more.

    `usage` are the account's statistics and subscription; None if they are not known.
    """
    statistics = usage[0] if usage is not None else Statistics()
    used, rest = used_up(statistics), [one for one in allowances(statistics) if one.remaining > 0]
    kind = error.plan_type or statistics.plan_type
    name = plan_name(kind, spanish=spanish) if kind else ""
    plan = (f" del plan {name}" if spanish else f" of the {name} plan") if kind else ""
    first = ("No se llamó: " if spanish else "Not called: ") + _used_up(error, used, plan, spanish)
    if used and rest:
        units = (
            f"{number(one.remaining, spanish=spanish)} {UNITS_ES[one.unit] if spanish else one.unit}" for one in rest
        )
        listed = (" y " if spanish else " and ").join(units)
        first += f"; quedan {listed}" if spanish else f"; {listed} are left"
    sentences = [first]
    if statistics.period_end is not None:
        day = billing_day(statistics.period_end, now, spanish=spanish)
        sentences.append(f"Se renueva el {day}" if spanish else f"It renews {day}")
    if error.upgrade_url:
        page = link(error.upgrade_url)
        sentences.append(f"El usuario puede ampliarlo en {page}" if spanish else f"The user can upgrade at {page}")
    else:
        billing = "abre la página para ampliarlo" if spanish else "opens the upgrade page"
        sentences.append(f"get_billing_link {billing}")
    return with_service_words(" ".join(f"{text}." for text in sentences), error, spanish=spanish)


def may_have_been_placed(error: errors.KallyAIError) -> bool:
    """Whether a call may have been placed when a request for one raised `error`."""
    return isinstance(error, errors.ResponseLostError | errors.UnavailableError | errors.UnreadableResponseError)


def _used_up(error: errors.QuotaExceededError, used: Sequence[Allowance], plan: str, spanish: bool) -> str:
    if used:
        unit = UNITS_ES[used[0].unit] if spanish else used[0].unit
        count = f"{number(used[0].allocated, spanish=spanish)} " if used[0].allocated is not None else ""
        gone = "se agotaron las" if unit == "llamadas" else "se agotaron los"
        return f"{gone} {count}{unit}{plan}" if spanish else f"all {count}{unit}{plan} are used"
    figures = ""
    if error.minutes_used is not None and error.minutes_allocated is not None:
        of, minutes = ("de", "minutos") if spanish else ("of", "minutes")
        used_minutes, all_minutes = (
            number(value, spanish=spanish) for value in (error.minutes_used, error.minutes_allocated)
        )
        figures = f" ({used_minutes} {of} {all_minutes} {minutes})"
    return f"el saldo{plan} está agotado{figures}" if spanish else f"the quota{plan} is used up{figures}"


def _maybe(error: errors.KallyAIError, spanish: bool) -> str:
    code = word(error.code)
    if spanish:
        return (
            f"Resultado desconocido: después de enviar la solicitud no llegó una respuesta útil ({code}), así que "
            "quizá se llamó al número. Mira list_calls antes que nada; no repitas la llamada."
        )
    return (
        f"Unknown: no usable answer came after the request was sent ({code}), so the number may have been called. "
        "Check with list_calls before anything else; do not place the call again."
    )


def _explain(error: errors.KallyAIError, spanish: bool) -> tuple[str, str]:
    if isinstance(error, errors.PolicyError):
        return _policy(error, spanish)
    of_kind = (EXPLANATIONS[kind.default_code] for kind in _KINDS if isinstance(error, kind))
    found = EXPLANATIONS.get(error.code) or next(of_kind, None)
    if found is None:
        return one_line(str(error)).rstrip("."), "Díselo al usuario" if spanish else "Tell the user"
    if error.retry_after:
        pause = f"{'en' if spanish else 'in'} {duration(error.retry_after)}"
    else:
        pause = "en un minuto" if spanish else "in a minute"
    happened, todo = found[2:] if spanish else found[:2]
    return happened, todo.format(pause=pause)


def forbidden(error: errors.PolicyError, *, spanish: bool) -> str:
    """Why the call policy refuses a call, without a period."""
    return f"no lo permite un ajuste de este servidor ({error.setting})" if spanish else one_line(error.message)


def _policy(error: errors.PolicyError, spanish: bool) -> tuple[str, str]:
    happened = forbidden(error, spanish=spanish)
    if error.retry_after is None:
        return happened, "Díselo al usuario" if spanish else "Tell the user"
    pause = duration(max(60.0, error.retry_after))
    return happened, f"Se puede otra vez en {pause}" if spanish else f"It may be tried again in {pause}"


def with_service_words(text: str, error: errors.KallyAIError, *, spanish: bool) -> str:
    """`text` about an error, and below it KallyAI's own words."""
    return "\n".join(filter(None, (text, service_says(error, spanish=spanish))))


def service_says(error: errors.KallyAIError, *, spanish: bool = False) -> str:
    """KallyAI's own words and the correlation id; "" if the error is not from a response of KallyAI."""
    own: tuple[str | None, ...] = ()
    code = ""
    if isinstance(error, errors.ServiceError) and not isinstance(error, errors.UnusableCallIdError):
        own = (error.message, error.reason)
    elif isinstance(error, errors.NotSignedInError) and error.status is not None:  # its message is ours
        own, code = (error.reason,), f" ({error.code})"
    if not own:
        return ""
    texts = " – ".join(dict.fromkeys(one_line(text, _MAX_LENGTH, spanish=spanish) for text in own if text))  # noqa: RUF001
    parts = [f"KallyAI: {quoted(texts, _MAX_LENGTH, spanish=spanish)}{code}."] if texts else []
    if error.correlation_id:
        parts.append(f"correlation_id {word(error.correlation_id)}")
    return " ".join(parts)
