"""Asks KallyAI once for the calendar file of a call that has ended, because nothing else shows a booking."""

import logging
from collections.abc import Awaitable, Callable

from kallyai_mcp.api.errors import KallyAIError, NotFoundError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.appointment import Calendar, read_appointment
from kallyai_mcp.calls.clock import Clock

_log = logging.getLogger(__name__)


async def look_up_calendar(
    call: Call, ask: Callable[[], Awaitable[str]], *, clock: Clock, seconds: float
) -> Calendar | None:
    """What KallyAI's calendar file says of `call`; None for a call that can't have booked anything.

    Every success may have booked something: only the service knows what was agreed. Nothing is raised, because an
    outcome must not be lost when there is no calendar file.

    Args:
        call: The call, which has ended.
        ask: Gives the file; raises `NotFoundError` when the call has none.
        clock: Measures the wait.
        seconds: The longest wait.
    """
    if call.plain_status != "success":
        return None
    with clock.move_on_after(seconds):
        try:
            return Calendar(read_appointment(await ask()))
        except NotFoundError:
            return Calendar()
        except KallyAIError as error:
            _log.info("the calendar file of a call can't be read: %s", error.code)
        except Exception:  # noqa: BLE001 - whatever is wrong with a calendar file, the outcome counts
            _log.exception("the calendar file of a call can't be read")
    return Calendar(is_known=False)
