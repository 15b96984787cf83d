"""Finding the call of a record in the service's list, after the response to its request was lost.

What is found must be certain: a call of another program, or of another record, told as this one's outcome would be a
false report. Doubt means that nothing was found.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.api.errors import NotFoundError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.appointment import time_of_day
from kallyai_mcp.calls.records import CallRecord, normalized

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_PAGE = 200
"""The most calls that the service lists at once ("List Calls")."""

_MOST_PAGES = 50
"""Where a search ends, without a result, in an account with more calls, should the list have no order."""

_EARLY = timedelta(seconds=10)
"""How much earlier than its request a call may be dated when the service's clock is known."""

_EARLY_UNKNOWN_CLOCK = timedelta(minutes=2)
"""The same when it is not known."""

_LATE = timedelta(minutes=10)
"""How much later than its request a call may be dated: it may have waited in the service."""

_ECHOED_BY_MEANING: dict[str, Callable[[Any], Any]] = {
    "respondent_phone": lambda value: re.sub(r"\D", "", str(value)),
    "user_phone": lambda value: re.sub(r"\D", "", str(value)),
    "appointment_date": lambda value: str(value).strip()[:10],
    "appointment_time": lambda value: time_of_day(str(value)) or normalized(str(value)),
    "additional_instructions": lambda value: normalized(" ".join(value) if isinstance(value, list) else value),
}

_OURS = frozenset(
    {"appointment_date", "appointment_time", "time_preference_text", "party_size", "additional_instructions"}
)
"""What the service would not add to a submission: a call that has it, though it was not asked for, is another one."""


@dataclass(frozen=True)
class SendTime:
    """When a request left, by the service's clock.

    Attributes:
        at: The time.
        is_exact: The service's clock was known.
        or_at: Another time at which it may have left: our clock is ahead, and may have been set forward since. A call
            of this time that is not ours would have been placed after ours, by as much as our clock is ahead.
    """

    at: datetime
    is_exact: bool
    or_at: datetime | None = None

    @classmethod
    def of(cls, record: CallRecord, *, now: datetime, service_time: datetime | None) -> "SendTime":
        """The time at which the request of `record` left.

        Args:
            record: The record; its `clock_offset` is from the time of the request, so later jumps don't matter.
            now: The time by the ledger's clock, which dated the record.
            service_time: The same moment by the service's clock, if it is known.
        """
        left = record.sent_at or record.placed_at
        if record.clock_offset is not None:
            return cls(left + timedelta(seconds=record.clock_offset), is_exact=True)
        jumped = left > now + timedelta(seconds=5)  # the clock was set back, so today's difference says nothing of then
        if service_time is None or jumped:
            return cls(left, is_exact=False)
        ahead = service_time - now
        return cls(left + ahead, is_exact=False, or_at=left if ahead < -_LATE else None)

    def admits(self, created_at: datetime | None) -> bool:
        """Whether a call of this date may be the one that was requested; a call without a usable date is not."""
        early = _EARLY if self.is_exact else _EARLY_UNKNOWN_CLOCK
        times = (self.at,) if self.or_at is None else (self.at, self.or_at)
        return created_at is not None and any(at - early <= created_at <= at + _LATE for at in times)


async def find_call(
    api: "KallyAI", record: CallRecord, sent: SendTime, others: Iterable[tuple[CallRecord, SendTime]], bound: set[str]
) -> Call | None:
    """The one call of the service that can only be the call of `record`; None when there is none, or there is doubt.

    Raises `KallyAIError` when the service can't be asked.

    Args:
        api: Asked for the list and for the details of calls.
        record: The record.
        sent: When its request left.
        others: Other records of the account that look for their call, each with its send time.
        bound: The ids of calls that belong to other records.
    """
    fitting: list[Call] = []
    others_ids = {id_.casefold() for id_ in bound}
    for listed in await _listed(api, sent):
        if listed.call_id.casefold() in others_ids or not _may_be(record, sent, listed):
            continue
        try:
            call = _with_listed(await api.get_call(listed.call_id), listed)
        except NotFoundError:  # its details are not there yet, and it may be the one
            return None
        if fits(record, sent, call):
            fitting.append(call)
    if len(fitting) != 1 or any(fits(other, other_sent, fitting[0]) for other, other_sent in others):
        return None
    return fitting[0]


def fits(record: CallRecord, sent: SendTime, call: Call) -> bool:
    """Whether `call` may be the call of `record`: its date, and everything that it repeats of the submission.

    The number must be repeated. Values are compared by meaning: `19:00` is `19:00:00`, case and spacing don't count.
    """
    echo = call.submission.as_json()
    asked = record.submission.as_json()
    if "respondent_phone" not in echo or not sent.admits(call.created_at):
        return False
    return all(
        _meaning(name, asked[name]) == _meaning(name, value) if name in asked else not (value and name in _OURS)
        for name, value in echo.items()
    )


def _may_be(record: CallRecord, sent: SendTime, listed: Call) -> bool:
    """The same for an entry of the list, which may leave out the date and the number."""
    number = listed.submission.respondent_phone
    same_number = number is None or _meaning("respondent_phone", number) == _meaning(
        "respondent_phone", record.submission.respondent_phone
    )
    return same_number and (listed.created_at is None or sent.admits(listed.created_at))


def _with_listed(call: Call, listed: Call) -> Call:
    """`call`, with the number and the date of its entry in the list where its details don't have them."""
    number, at = listed.submission.respondent_phone, listed.created_at
    return call.model_copy(
        update={
            "created_at": call.created_at or at,
            "submission": call.submission.model_copy(
                update={"respondent_phone": call.submission.respondent_phone or number}
            ),
        }
    )


async def _listed(api: "KallyAI", sent: SendTime) -> list[Call]:
    """All entries of the list that may be as new as the request, whatever the order of the list is.

    Nothing when the list could not be read to its end, or changed between two pages: an entry that moved may have been
    in neither of them.
    """
    found: dict[str, Call] = {}
    dates: list[datetime] = []
    totals: set[int | None] = set()
    earliest = sent.at - _EARLY_UNKNOWN_CLOCK
    read = 0
    for _ in range(_MOST_PAGES):
        page = await api.list_calls(limit=_PAGE, offset=read)
        new = {call.call_id: call for call in page.calls if call.call_id not in found}
        totals.add(page.total)
        if len(totals) > 1 or (new and any(call.call_id in found for call in page.calls)):
            return []
        found |= new
        read += len(page.calls)
        dates += [call.created_at for call in page.calls if call.created_at is not None]
        is_last = page.total is not None and read >= page.total and len(page.calls) < _PAGE
        is_newest_first = len(dates) == read and dates == sorted(dates, reverse=True) and dates[:1] > dates[-1:]
        if not page.calls or is_last or (is_newest_first and dates[-1] < earliest):
            return list(found.values())
        if not new:  # the service ignores `offset`
            break
    return []


def _meaning(name: str, value: Any) -> Any:
    return _ECHOED_BY_MEANING.get(name, normalized)(value)
