"""What KallyAI's calendar file and transcript say about a call that has ended."""

import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from kallyai_mcp.api.errors import KallyAIError, NotFoundError, UnusableCallIdError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.appointment import Calendar, lies_before, read_appointment
from kallyai_mcp.calls.call_search import find
from kallyai_mcp.calls.outcome import NOBODY_REACHED, reached_somebody
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.service import Service

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_log = logging.getLogger(__name__)

_KALLYAI = frozenset({"ai", "assistant", "agent", "bot", "system"})
"""The speakers in a transcript that are KallyAI: `ai` is the reference's; `role` has other words."""

Found = TypeVar("Found")


async def look_again(record: CallRecord, service: Service) -> None:
    """Ask KallyAI once more about a record that may change (`CallRecord.may_change`); a request waits for that.

    If KallyAI can't be asked, the record stays unchanged. Raises `LedgerUnavailableError` if news can't be written.
    """
    call, seconds = None, math.inf if record.state is CallState.UNKNOWN else service.timing.calendar
    with suppress(KallyAIError), service.clock.move_on_after(seconds):
        call = await find(record, service)
    is_news = call != record.call or record.is_calendar_unread or not record.reached
    if call is not None and call.is_final and is_news:
        calendar, reached = await read_findings(service, record.account, call, record)
        await service.ledger.finish(record, CallState.ENDED, call=call, calendar=calendar, reached=reached)


async def read_findings(
    service: Service, account: AccountKey, call: Call, record: CallRecord | None
) -> tuple[Calendar | None, bool]:
    """What KallyAI's calendar file and transcript say about an ended call of `account`; its record, if there is one.

    Nothing is raised: an outcome must not be lost because nothing more can be read.

    Returns the calendar, and whether the call reached somebody (`reached_somebody`). The calendar is None for a call
    without `success`, unless it has an appointment. An event that lies before the call is no booking, and yet a sign
    that the call reached somebody.
    """

    async def read(what: "Callable[[Call, KallyAI], Awaitable[Found]]") -> Found | None:
        with service.clock.move_on_after(service.timing.calendar):
            try:
                async with service.api_of(account) as api:
                    return await what(call, api)
            except KallyAIError as error:
                _log.info("what KallyAI knows of a call that has ended can't be read: %s", error.code)
            except Exception:  # noqa: BLE001 - whatever is wrong with a calendar file, the outcome counts
                _log.exception("what KallyAI knows of a call that has ended can't be read")
        return None

    calendar = await read(_calendar_of) or Calendar(is_known=False)
    event, called_at = calendar.appointment, record.called_at if record is not None else None
    number = (record or call).submission.respondent_phone
    zone_name = record.timezone if record is not None else None
    if event is not None and lies_before(event, call.created_at, called_at, number=number, zone_name=zone_name):
        calendar = Calendar()
    if call.plain_status == "success" or event is not None:
        return calendar, True
    if call.plain_status not in NOBODY_REACHED:
        return None, reached_somebody(call)
    return None, reached_somebody(call, callee_spoke=await read(_has_words))


async def _calendar_of(call: Call, api: "KallyAI") -> Calendar:
    try:
        return Calendar(read_appointment(await api.get_calendar(call.call_id)))
    except UnusableCallIdError:
        return Calendar(is_known=False)
    except NotFoundError:
        return Calendar()


async def _has_words(call: Call, api: "KallyAI") -> bool | None:
    """Whether the transcript has words of the callee; None when there is no transcript."""
    try:
        entries = (await api.get_transcript(call.call_id)).entries
    except NotFoundError:
        return None
    return any(entry.content and entry.speaker.casefold() not in _KALLYAI for entry in entries) if entries else None
