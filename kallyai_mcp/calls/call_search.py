"""Finds a call in KallyAI's list after the response to its request was lost.

A call counts as found only when it can be no other: the outcome of a call that another program or
another record placed would be a false report.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.api.errors import KallyAIError, NotFoundError
from kallyai_mcp.api.models import Call, CallPage
from kallyai_mcp.calls.appointment import time_of_day
from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.calls.events import Found
from kallyai_mcp.calls.fingerprint import normalized
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.records import DATED_EARLIER, CallRecord

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_PAGE = 200
"""The most calls that the service lists at once ("List Calls")."""

_MOST_PAGES = 50
"""The most pages that a search reads.

It ends without a result if the list has no order and more pages.
"""

_DATED_EARLIER_KNOWN_CLOCK = timedelta(seconds=10)
"""`DATED_EARLIER`, when it is known how far the clocks differed at the request."""

_DATED_LATER = timedelta(minutes=10)
"""How much later than its request a call may be dated: the request may have waited in the
service.
"""

_ECHOED_BY_MEANING: dict[str, Callable[[Any], Any]] = {
    "respondent_phone": lambda value: re.sub(r"\D", "", str(value)),
    "user_phone": lambda value: re.sub(r"\D", "", str(value)),
    "appointment_date": lambda value: str(value).strip()[:10],
    "appointment_time": lambda value: time_of_day(str(value)) or normalized(str(value)),
}

_NOT_ADDED = frozenset(
    {
        "appointment_date",
        "appointment_time",
        "time_preference_text",
        "party_size",
        "additional_instructions",
    }
)
"""Fields that the service would not add to a submission: a call with one that was not sent is
another call.
"""


class UncertainError(KallyAIError):
    """What the service lists does not show whether it has the call."""


@dataclass(frozen=True)
class Wanted:
    """A record whose call is looked for, and between which dates that call was placed, by the
    service's clock.
    """

    record: CallRecord
    earliest: datetime
    latest: datetime

    @classmethod
    def of(cls, record: CallRecord, ahead: timedelta | None) -> "Wanted":
        """The call of `record`; `ahead` is how far the service's clock is ahead of the ledger's
        now.

        A `clock_offset` was measured by who sent the request, and is still right when our clock was
        set since. Without it and without `ahead`, the call may be a day older or newer.
        """
        if record.sent_at is None:
            first = last = record.response_lost_at or record.asked_at
        else:
            first = record.sent_at
            # A call that was put off is sent again up to its whole window after `sent_at`.
            last = max(first, record.asked_at)
        if record.clock_offset is not None:
            there = timedelta(seconds=record.clock_offset)
            earliest = first + there - _DATED_EARLIER_KNOWN_CLOCK
            return cls(record, earliest, last + there + _DATED_LATER)
        if ahead is not None:
            return cls(record, first + ahead - DATED_EARLIER, last + ahead + _DATED_LATER)
        return cls(record, first - timedelta(days=1), last + timedelta(days=1))

    def allows(self, created_at: datetime | None) -> bool:
        """Whether a call of this date may be the one that was requested; False without a date."""
        return created_at is not None and self.earliest <= created_at <= self.latest

    def may_be(self, listed: Call) -> bool:
        """Whether an entry of the list may be the call. An entry may have no date and no number."""
        number = listed.submission.respondent_phone
        if number is not None and not self._is_number(number):
            return False
        return listed.created_at is None or self.allows(listed.created_at)

    def _is_number(self, number: str) -> bool:
        asked = self.record.submission.respondent_phone
        return bool(_meaning("respondent_phone", number) == _meaning("respondent_phone", asked))

    def fits(self, call: Call) -> bool:
        """Whether the date of `call`, and all that it repeats of a submission, fit; it must repeat
        the number.

        Values are compared by meaning: `19:00` is `19:00:00`, case and spacing don't count.
        """
        echo = call.submission.as_json()
        sent = self.record.submission.as_json()
        if "respondent_phone" not in echo or not self.allows(call.created_at):
            return False
        return all(_may_repeat(sent, name, value) for name, value in echo.items())


def _may_repeat(sent: Mapping[str, Any], name: str, value: Any) -> bool:
    """Whether a call that repeats this `value` may be the one of what was `sent`.

    A field that was not sent may be one that the service has added.
    """
    if name in sent:
        return bool(_meaning(name, sent[name]) == _meaning(name, value))
    return not value or name not in _NOT_ADDED


async def find(record: CallRecord, context: CallContext) -> Call | None:
    """The service's call of `record`, which is then bound to it; None when the service certainly
    lists none.

    Raises:
        UncertainError: It is not certain whether the service lists it, or which one it is.
        KallyAIError: The service can't be asked, another account is signed in, or the ledger can't
            be used.
    """
    if record.call_id is not None:
        async with context.api_of(record.account) as api:
            return await api.get_call(record.call_id, number=record.submission.respondent_phone)
    ledger = context.ledger
    # Without the service's time, an older call could be taken for this one.
    if record.clock_offset is None:
        await context.learn_time(record.account)
    unbound, call_ids, offset = await ledger.read(rows.competitors, record, context.time)
    wanted = Wanted.of(record, timedelta(seconds=offset))
    others = [Wanted.of(other, None) for other in unbound]
    async with context.api_of(record.account) as api:
        call = await _only_call(api, wanted, others, call_ids)
    if call is None:
        return None
    is_bound = await ledger.handle(record.account, Found(record, call, proven=False))
    if not is_bound:
        raise UncertainError("The call belongs to another record.")
    return call


async def _only_call(
    api: "KallyAI", wanted: Wanted, others: Iterable[Wanted], bound: set[str]
) -> Call | None:
    """The call that can only be the `wanted` one (rule 3 of placing a call); errors as in `find`.

    `others` are the account's records whose call is not known either; `bound` are the ids of other
    records' calls.
    """
    others_ids = {id_.casefold() for id_ in bound}
    listed = await _listed(api, wanted.earliest)
    unbound = [one for one in listed if one.call_id.casefold() not in others_ids]
    possible: list[Call] = []
    for one in filter(wanted.may_be, unbound):
        try:
            possible.append(await api.get_call(one.call_id))
        except NotFoundError:
            raise UncertainError("A listed call has no details yet.") from None
    match list(filter(wanted.fits, possible)):
        case [] if not any(map(_is_vague, possible)):
            return None
        case [call] if not any(other.fits(call) for other in others):
            return call
    raise UncertainError("Listed calls can't be told apart.")


def _is_vague(call: Call) -> bool:
    """Whether a call has no date or no number."""
    return call.created_at is None or call.submission.respondent_phone is None


async def _listed(api: "KallyAI", earliest: datetime) -> list[Call]:
    """All entries of the list that may be of this date or later, whatever the order of the list is.

    It is uncertain if it can't be read to its end, or changed between two pages: an entry that
    moved from one page to the other may have been read in neither. A service that ignores the
    offset lists the same calls on each page.
    """
    listed: list[Call] = []
    totals: set[int | None] = set()
    for _ in range(_MOST_PAGES):
        page = await api.list_calls(limit=_PAGE, offset=len(listed))
        totals.add(page.total)
        if len(totals) > 1 or _has_moved(page, listed):
            break
        listed += page.calls
        if _is_at_end(page, len(listed)) or _is_older_from_here(listed, earliest):
            return list({call.call_id: call for call in listed}.values())
    raise UncertainError("The list can't be read as a whole.")


def _has_moved(page: CallPage, listed: Iterable[Call]) -> bool:
    """Whether an entry of a page is on an earlier page, too."""
    return not _ids_of(page.calls).isdisjoint(_ids_of(listed))


def _ids_of(calls: Iterable[Call]) -> set[str]:
    return {call.call_id for call in calls}


def _is_at_end(page: CallPage, read: int) -> bool:
    """Whether the list ends with this page, with which so many entries were read.

    A full page may be followed by others, whatever the total says.
    """
    if not page.calls:
        return True
    if page.total is None or len(page.calls) >= _PAGE:
        return False
    return read >= page.total


def _is_older_from_here(listed: Sequence[Call], earliest: datetime) -> bool:
    """Whether all that follows in the list is older than this date.

    It is if every entry so far has a date, they are sorted, newest first, and the last one is
    older. Entries of the same date show no order.
    """
    dates = [call.created_at for call in listed if call.created_at is not None]
    if len(dates) < len(listed) or dates != sorted(dates, reverse=True):
        return False
    return dates[0] > dates[-1] and dates[-1] < earliest


def _meaning(name: str, value: Any) -> Any:
    return _ECHOED_BY_MEANING.get(name, normalized)(value)
