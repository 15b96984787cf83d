"""How the ledger stores why a call was not placed, or why its outcome is not known.

An error is stored by its code, so that no class of this program is a part of the database.
"""

import json
from collections.abc import Iterator
from typing import Any

from kallyai_mcp.api.errors import (
    KallyAIError,
    NotSignedInError,
    PolicyError,
    ServiceError,
    error_class,
)
from kallyai_mcp.calls.errors import OPTED_OUT, OptedOutError

_STORED = (
    *("code", "message", "status", "reason", "correlation_id", "retry_after", "setting"),
    *("plan_type", "minutes_allocated", "minutes_used", "credits_allocated", "credits_used"),
    "upgrade_url",
)
"""The attributes of an error that are stored, where it has them."""


def error_to_json(error: KallyAIError | None) -> str | None:
    """The JSON that the ledger stores for an error; `error_from_json` reads it back."""
    if error is None:
        return None
    known = vars(error)
    stored = {name: known[name] for name in _STORED if known.get(name) is not None}
    # Its code and its status may be those of KallyAI's refusal.
    if isinstance(error, NotSignedInError):
        stored["signed_in"] = False
    return json.dumps(stored)


def error_from_json(text: str | None) -> KallyAIError | None:
    """The error in a text that `error_to_json` wrote; None for no text.

    Older versions stored the name of the class, too.
    """
    if not text:
        return None
    stored: dict[str, Any] = json.loads(text)
    is_signed_out = not stored.pop("signed_in", True)
    was_signed_out = stored.pop("class", "") == NotSignedInError.__name__
    found = {name: value for name, value in stored.items() if value is not None}
    kind = NotSignedInError if is_signed_out or was_signed_out else _class_of(found)
    return kind(found.pop("message"), **found)


def _class_of(stored: dict[str, Any]) -> type[KallyAIError]:
    """The class of an error: one of the service has a status, one of this program a code."""
    if "setting" in stored:
        if stored["code"] == OPTED_OUT:
            return OptedOutError
        return PolicyError
    own = _OWN_CODES.get(stored["code"])
    if own is not None:
        return own
    if "status" in stored:
        return error_class(stored["code"], stored["status"])
    return KallyAIError


def _classes_below(cls: type[KallyAIError]) -> Iterator[type[KallyAIError]]:
    for below in cls.__subclasses__():
        yield below
        yield from _classes_below(below)


_OWN_CODES = {
    cls.default_code: cls
    for cls in _classes_below(KallyAIError)
    if not issubclass(cls, PolicyError) and cls is not ServiceError
}
"""The class that each code of this program belongs to."""
