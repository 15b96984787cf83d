"""What the end of a call, or an error of a request for one, says about the phone call."""

from kallyai_mcp.api.errors import BotCheckError, KallyAIError, ResponseLostError, ServiceError, UnreadableResponseError
from kallyai_mcp.api.models import Call

_NOBODY_REACHED = frozenset({"no_answer", "busy", "failed", "canceled", "cancelled", "voicemail"})

_PROOFS = frozenset({400, 401, 402, 403, 404, 405, 413, 415, 422, 429})
"""HTTP statuses by which a service says that it did not act on a request."""


def reached_somebody(call: Call) -> bool:
    """Whether somebody may have talked to the caller; a status that we do not know counts as yes."""
    return call.status.strip().lower() not in _NOBODY_REACHED


def proves_no_call(error: KallyAIError) -> bool:
    """Whether `error`, raised by `KallyAI.create_call`, proves that no call was placed.

    Everything else (408, 409, 425, 499, a redirect, 5xx, a broken or unreadable response) may have placed it.
    """
    if isinstance(error, ResponseLostError | UnreadableResponseError):
        return False
    if isinstance(error, BotCheckError) or not isinstance(error, ServiceError):
        return True  # a page in front of the service, or an error of this machine before anything was sent
    return error.status in _PROOFS
