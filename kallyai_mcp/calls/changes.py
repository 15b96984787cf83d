"""What a decision may read, and what it may change.

`decisions.decide` reads a `View` and returns `Changes`; nothing else is written. The ledger has a
view in SQL, and tests have one in a dict.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.duplicates import Asked
from kallyai_mcp.calls.events import Answer_co
from kallyai_mcp.calls.opt_outs import OptOut
from kallyai_mcp.calls.policy import NOT_LOOKED_AT, CallPolicy, Consent
from kallyai_mcp.calls.records import NOT_PLACED, CallRecord, as_it_is_at
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.calls.tracking_ids import by_id

Other = TypeVar("Other")

BATCH = 100
"""How many records a transaction changes or deletes at most, so that none holds up the others for
long.
"""


@dataclass(frozen=True)
class PlacedCall:
    """A call that was placed, or may have been, as limits count it."""

    tracking_id: str
    asked_at: datetime


@dataclass(frozen=True)
class SameCalls:
    """The records of one call that may answer a request for it, or are of today.

    Attributes:
        is_whole: False if there are others, which this version can't read.
        was_deleted: Whether one was deleted within a day, so that only hashes of it are known.
        hidden_generations: The generations of today that the others have.
    """

    records: tuple[CallRecord, ...] = ()
    is_whole: bool = True
    was_deleted: bool = False
    hidden_generations: tuple[int, ...] = ()

    def with_others(self, others: "SameCalls") -> "SameCalls":
        """These and the others, which have another fingerprint."""
        return SameCalls(
            self.records + others.records,
            is_whole=self.is_whole and others.is_whole,
            was_deleted=self.was_deleted or others.was_deleted,
            hidden_generations=self.hidden_generations + others.hidden_generations,
        )


class View(Protocol):
    """What a decision may read: what the ledger has for one account, which is locked.

    Records are as they were written, also those that are late by now (`as_it_is_now`). Those that
    this version can't read are left out, where nothing else is said.
    """

    @property
    def now(self) -> datetime:
        """The time by the ledger's clock."""

    @property
    def expires_before(self) -> datetime:
        """A scheduled call whose time ended before this one has expired.

        Earlier than `now` while nobody knows whether the ledger's clock is right.
        """

    @property
    def policy(self) -> CallPolicy:
        """What the operator allows."""

    @property
    def timing(self) -> Timing:
        """The times for placing calls."""

    def record(self, tracking_id: str) -> CallRecord | None:
        """The record with this id."""

    def bound_to(self, call_id: str | None, other_than: str) -> CallRecord | None:
        """The record, other than the one with this tracking id, that has KallyAI's call."""

    def open_call(self, fingerprint: str) -> CallRecord | None:
        """The record of this call that has not ended."""

    def same_calls(self, requested: CallRecord, asked: Asked) -> SameCalls:
        """The records of the call that is requested."""

    def newest_placed(self, number: str | None, since: datetime, most: int) -> Sequence[PlacedCall]:
        """The newest calls that were placed after `since`, newest first, to a number or to all."""

    def active(self) -> Sequence[CallRecord]:
        """The records in progress."""

    def scheduled(self, ids: Collection[str]) -> Sequence[CallRecord]:
        """The scheduled records with these tracking ids, and those that lists with these ids have
        made; the one that is due first comes first.
        """

    def call_list(self, list_id: str) -> CallList | None:
        """The list with this id, with the records of its calls."""

    def same_lists(self, fingerprint: str) -> Sequence[CallList]:
        """The lists of these calls, the one that goes on first, then the newest."""

    def lists_in_progress(self) -> Sequence[CallList]:
        """The lists that go on, or that have a call in progress, the oldest one first."""

    def holds_lease(self, worker: str) -> bool:
        """Whether this process is that worker, and still holds its lease."""

    def is_abandoned(self, worker: str) -> bool:
        """Whether no living process holds the lease of another worker."""

    def was_used(self, confirmation_id: str) -> bool:
        """Whether a call was placed with this confirmation."""

    def opt_out(self, number: str) -> OptOut | None:
        """The opt-out of a number (E.164), also of one whose calls were deleted."""

    def was_lifted(self, call_id: str) -> bool:
        """Whether the user has removed the opt-out that was said in this call."""


@dataclass(frozen=True)
class AuditLine:
    """A line of the audit trail: a call was placed or scheduled, or `refused_by` a setting."""

    record: CallRecord
    consent: Consent = NOT_LOOKED_AT
    refused_by: str | None = None


@dataclass(frozen=True)
class Changes(Generic[Answer_co]):
    """What is written, in this order, and what is answered.

    Attributes:
        save: Records that the ledger has, as they are to be. They are saved in this order.
        begin: Lists that the ledger does not have yet.
        lists: Lists that the ledger has.
        insert: Records that the ledger does not have yet.
        left: The tracking ids of calls that no longer belong to a list.
        used: The id of a confirmation that allows no further call.
        opt_outs: Opt-outs that take the place of those of their numbers.
        lifted: Opt-outs that the user has removed.
    """

    answer: Answer_co
    save: tuple[CallRecord, ...] = ()
    begin: tuple[CallList, ...] = ()
    lists: tuple[CallList, ...] = ()
    insert: tuple[CallRecord, ...] = ()
    left: tuple[str, ...] = ()
    audit: tuple[AuditLine, ...] = ()
    used: str | None = None
    opt_outs: tuple[OptOut, ...] = ()
    lifted: tuple[OptOut, ...] = ()

    def answering(self, answer: Other) -> "Changes[Other]":
        """The same changes with another answer."""
        return self.then(Changes(answer))

    def then(self, more: "Changes[Other]") -> "Changes[Other]":
        """These changes and, after them, `more`, whose answer counts.

        What both save is saved once, as the later one has it.
        """
        insert, of_ledger = _written_over(by_id, self.insert, more.save)
        save, others = _written_over(by_id, self.save, of_ledger)
        begin, lists_of_ledger = _written_over(_by_list_id, self.begin, more.lists)
        lists, other_lists = _written_over(_by_list_id, self.lists, lists_of_ledger)
        return Changes(
            more.answer,
            save=save + others,
            begin=begin + more.begin,
            lists=lists + other_lists,
            insert=insert + more.insert,
            left=self.left + more.left,
            audit=self.audit + more.audit,
            used=more.used or self.used,
            opt_outs=self.opt_outs + more.opt_outs,
            lifted=self.lifted + more.lifted,
        )


Item = TypeVar("Item", CallRecord, CallList)


def _written_over(
    by_its_id: Callable[[Iterable[Item]], dict[str, Item]],
    items: Iterable[Item],
    newer: Iterable[Item],
) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """The items, each as `newer` has it if it is in there, and the others of `newer`."""
    others = by_its_id(newer)
    over = tuple(others.pop(id_, item) for id_, item in by_its_id(items).items())
    return over, tuple(others.values())


def _by_list_id(lists: Iterable[CallList]) -> dict[str, CallList]:
    return {one.list_id: one for one in lists}


@dataclass(frozen=True)
class _After:
    """A view as it will be after some changes."""

    before: View
    changes: Changes[object]

    @property
    def now(self) -> datetime:
        return self.before.now

    @property
    def expires_before(self) -> datetime:
        return self.before.expires_before

    @property
    def policy(self) -> CallPolicy:
        return self.before.policy

    @property
    def timing(self) -> Timing:
        return self.before.timing

    @property
    def _changed(self) -> dict[str, CallRecord]:
        return by_id((*self.changes.save, *self.changes.insert))

    @property
    def _changed_lists(self) -> dict[str, CallList]:
        return _by_list_id((*self.changes.begin, *self.changes.lists))

    def _with_changed(
        self, found: Iterable[CallRecord | None], is_wanted: Callable[[CallRecord], bool]
    ) -> list[CallRecord]:
        """The records that were found before, or have changed, and are wanted."""
        records = by_id(filter(None, found)) | self._changed
        return list(filter(is_wanted, records.values()))

    def record(self, tracking_id: str) -> CallRecord | None:
        return self._changed.get(tracking_id) or self.before.record(tracking_id)

    def bound_to(self, call_id: str | None, other_than: str) -> CallRecord | None:
        if call_id is None:
            return None

        def has_call(record: CallRecord) -> bool:
            return record.call_id == call_id and record.tracking_id != other_than

        found = self._with_changed([self.before.bound_to(call_id, other_than)], has_call)
        return next(iter(found), None)

    def open_call(self, fingerprint: str) -> CallRecord | None:
        def is_same(record: CallRecord) -> bool:
            return record.fingerprint == fingerprint and record.is_open

        found = self._with_changed([self.before.open_call(fingerprint)], is_same)
        return next(iter(found), None)

    def same_calls(self, requested: CallRecord, asked: Asked) -> SameCalls:
        def is_same(record: CallRecord) -> bool:
            return record.fingerprint == requested.fingerprint

        found = self.before.same_calls(requested, asked)
        return replace(found, records=tuple(self._with_changed(found.records, is_same)))

    def newest_placed(self, number: str | None, since: datetime, most: int) -> Sequence[PlacedCall]:
        changed = self._changed
        found = self.before.newest_placed(number, since, most + len(changed))
        counted = [one for one in changed.values() if _counts(one, number, since)]
        placed = [one for one in found if one.tracking_id not in changed]
        placed += [PlacedCall(one.tracking_id, one.asked_at) for one in counted]
        return sorted(placed, key=lambda one: one.asked_at, reverse=True)[:most]

    # A decision reads the next two before it changes anything.

    def active(self) -> Sequence[CallRecord]:
        return self.before.active()

    def scheduled(self, ids: Collection[str]) -> Sequence[CallRecord]:
        return self.before.scheduled(ids)

    def call_list(self, list_id: str) -> CallList | None:
        found = self._changed_lists.get(list_id) or self.before.call_list(list_id)
        return self._with_calls(found) if found is not None else None

    def same_lists(self, fingerprint: str) -> Sequence[CallList]:
        ids = _by_list_id(self.before.same_lists(fingerprint))
        return list(filter(None, map(self.call_list, ids)))

    def lists_in_progress(self) -> Sequence[CallList]:
        known = _by_list_id(self.before.lists_in_progress()) | self._changed_lists
        found = map(self._with_calls, known.values())
        return sorted(filter(_is_in_progress, found), key=lambda one: one.asked_at)

    def _with_calls(self, call_list: CallList) -> CallList:
        """A list with its records as they are after the changes, in the order of its candidates."""
        records = by_id(call_list.records)
        for record in self._changed.values():
            if record.tracking_id in records or record.plan_id == call_list.list_id:
                records[record.tracking_id] = record
        for tracking_id in self.changes.left:
            records.pop(tracking_id, None)
        return call_list.with_calls(records.values())

    def holds_lease(self, worker: str) -> bool:
        return self.before.holds_lease(worker)

    def is_abandoned(self, worker: str) -> bool:
        return self.before.is_abandoned(worker)

    def was_used(self, confirmation_id: str) -> bool:
        return self.changes.used == confirmation_id or self.before.was_used(confirmation_id)

    def opt_out(self, number: str) -> OptOut | None:
        written = {one.number: one for one in self.changes.opt_outs}
        found = written.get(number) or self.before.opt_out(number)
        return None if found in self.changes.lifted else found

    def was_lifted(self, call_id: str) -> bool:
        lifted = {one.call_id for one in self.changes.lifted}
        return call_id in lifted or self.before.was_lifted(call_id)


def after(view: View, changes: Changes[object]) -> View:
    """The view as it will be after these changes."""
    return _After(view, changes)


def _is_in_progress(call_list: CallList) -> bool:
    """Whether a list goes on, or has a call in progress."""
    return call_list.ended_at is None or call_list.is_calling


def _counts(record: CallRecord, number: str | None, since: datetime) -> bool:
    """Whether a call was placed after `since`, or may have been, to this number or to any."""
    if number is not None and record.submission.respondent_phone != number:
        return False
    return record.state not in NOT_PLACED and record.asked_at > since


def as_it_is_now(view: View, record: CallRecord) -> CallRecord:
    """A record as everybody sees it (`records.as_it_is_at`)."""
    return as_it_is_at(record, view.now, view.expires_before)
