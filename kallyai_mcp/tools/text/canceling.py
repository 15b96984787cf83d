"""Texts of cancel_call."""

from functools import partial

from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.tools.text.call_words import say
from kallyai_mcp.tools.text.calls import party_of
from kallyai_mcp.tools.text.plain import say_from

_SENTENCES: dict[str, tuple[str, str]] = {
    "canceled": (
        "Canceled: {party} will not be called. Nothing else has to be done.",
        "Cancelada: no se llamará a {party}. No hay que hacer nada más.",
    ),
    "canceled_retry": (
        "Canceled: {party} will not be called again. Nothing else has to be done.",
        "Cancelada: no se volverá a llamar a {party}. No hay que hacer nada más.",
    ),
    "in_progress": (
        "Not canceled: the call to {party} is in progress, and it can't be hung up. It will not be placed again.",
        "No se canceló: la llamada a {party} está en curso y no se puede colgar. No se repetirá.",
    ),
    "follow": (' get_call "{id}" follows it.', ' get_call "{id}" la sigue.'),
    "over": (
        "Not canceled: the call to {party} is over. What was agreed in it can only be canceled by another call.",
        "No se canceló: la llamada a {party} ya terminó. Lo que se acordó solo se puede cancelar con otra llamada.",
    ),
    "never_placed": (
        "Nothing to cancel: {party} was not called, and will not be.",
        "No hay nada que cancelar: no se llamó a {party} ni se le llamará.",
    ),
    "list": ("Canceled: nobody else is called.", "Cancelada: no se llama a nadie más."),
    "list_not_called": ("Not called: {parties}.", "Sin llamar: {parties}."),
    "list_in_progress": ("The call in progress can't be hung up.", "La llamada en curso no se puede colgar."),
    "list_over": ("Nothing to cancel: the list is over.", "No hay nada que cancelar: la lista ya terminó."),
}

_say = partial(say_from, _SENTENCES)


def canceled(party: str, *, is_retry: bool, spanish: bool) -> str:
    """The text about a call that was canceled; with `is_retry`, an earlier attempt was placed."""
    return _say("canceled_retry" if is_retry else "canceled", spanish, party=party)


def list_canceled(found: CallList, *, spanish: bool) -> str:
    """The text about a list that was canceled, or that was over already."""
    if found.stop_reason is not StopReason.CANCELED:
        return _say("list_over", spanish)
    parties = "; ".join(str(party_of(submission)) for submission in found.not_called)
    texts = [_say("list", spanish)]
    texts += [_say("list_not_called", spanish, parties=parties)] if parties else []
    texts += [_say("list_in_progress", spanish)] if found.is_calling else []
    return " ".join(texts)


def not_canceled(
    party: str | None, *, is_over: bool, was_placed: bool = True, id_: str | None = None, spanish: bool = False
) -> str:
    """The text about a call that could not be canceled.

    Args:
        party: The callee; None if it is not known.
        is_over: The call has ended, or was never placed; otherwise, it is in progress.
        was_placed: The call was placed.
        id_: The id to follow a call in progress.
        spanish: In Spanish; otherwise in English.
    """
    key = ("over" if was_placed else "never_placed") if is_over else "in_progress"
    text = _say(key, spanish, party=party or say("the_number", spanish))
    return text + (_say("follow", spanish, id=id_) if id_ and not is_over else "")
