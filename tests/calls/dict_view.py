"""The records of an account in a dict: what a decision reads, without a database."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.changes import AuditLine, Changes, PlacedCall, SameCalls
from kallyai_mcp.calls.decisions import decide
from kallyai_mcp.calls.duplicates import Asked
from kallyai_mcp.calls.events import Event
from kallyai_mcp.calls.opt_outs import OptOut
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import NOT_PLACED, CallRecord, CallState
from kallyai_mcp.calls.timing import Timing

NEVER = datetime.fromtimestamp(0, UTC)
"""A time before which no call has expired."""


@dataclass
class DictView:
    """A `View` of records and lists, which are as they were written.

    Attributes:
        trusts: Whether the ledger's clock is right, so that calls may expire.
        living: The workers whose lease is held.
    """

    now: datetime
    records: dict[str, CallRecord] = field(default_factory=dict)
    lists: dict[str, CallList] = field(default_factory=dict)
    audit: list[AuditLine] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    opt_outs: dict[str, OptOut] = field(default_factory=dict)
    lifted: set[str] = field(default_factory=set)
    living: set[str] = field(default_factory=set)
    trusts: bool = True
    policy: CallPolicy = field(default_factory=CallPolicy)
    timing: Timing = field(default_factory=Timing)

    @classmethod
    def of(cls, now: datetime, *records: CallRecord, **more: Any) -> "DictView":
        return cls(now, {one.tracking_id: one for one in records}, **more)

    def handle(self, event: Event[Any]) -> Any:
        """Decide an event, and write what was decided; returns the answer."""
        changes = decide(self, event)
        self.write(changes)
        return changes.answer

    def write(self, changes: Changes[Any]) -> None:
        for record in (*changes.save, *changes.insert):
            written = replace(record, is_new=False, last_call=None, opt_out=None)
            self.records[record.tracking_id] = written
        for call_list in (*changes.begin, *changes.lists):
            self.lists[call_list.list_id] = replace(call_list, records=())
        self.audit += changes.audit
        if changes.used is not None:
            self.used.add(changes.used)
        for opt_out in changes.opt_outs:
            self.opt_outs[opt_out.number] = opt_out
        for opt_out in changes.lifted:
            del self.opt_outs[opt_out.number]
            self.lifted.add(opt_out.call_id or "")

    @property
    def expires_before(self) -> datetime:
        return self.now if self.trusts else NEVER

    def record(self, tracking_id: str) -> CallRecord | None:
        return self.records.get(tracking_id)

    def bound_to(self, call_id: str | None, other_than: str) -> CallRecord | None:
        others = [one for id_, one in self.records.items() if id_ != other_than]
        return next((one for one in others if call_id and one.call_id == call_id), None)

    def open_call(self, fingerprint: str) -> CallRecord | None:
        of_call = [one for one in self.records.values() if one.fingerprint == fingerprint]
        return next((one for one in of_call if one.is_open), None)

    def same_calls(self, requested: CallRecord, asked: Asked) -> SameCalls:  # noqa: ARG002
        same = [one for one in self.records.values() if one.fingerprint == requested.fingerprint]
        return SameCalls(tuple(same))

    def newest_placed(self, number: str | None, since: datetime, most: int) -> Sequence[PlacedCall]:
        placed = [
            PlacedCall(one.tracking_id, one.asked_at)
            for one in self.records.values()
            if one.state not in NOT_PLACED
            and one.asked_at > since
            and number in (None, one.submission.respondent_phone)
        ]
        return sorted(placed, key=lambda one: one.asked_at, reverse=True)[:most]

    def active(self) -> Sequence[CallRecord]:
        return [one for one in self.records.values() if one.is_active]

    def scheduled(self, ids: Collection[str]) -> Sequence[CallRecord]:
        waiting = [one for one in self.records.values() if one.state is CallState.SCHEDULED]
        meant = [
            one
            for one in waiting
            if one.tracking_id in ids or (one.is_of_list and one.plan_id in ids)
        ]
        return sorted(meant, key=lambda one: one.schedule.not_before or self.now)

    def call_list(self, list_id: str) -> CallList | None:
        found = self.lists.get(list_id)
        if found is None:
            return None
        calls = {
            one.submission.respondent_phone: one
            for one in self.records.values()
            if one.plan_id == list_id
        }
        called = [calls.get(one.respondent_phone) for one in found.submissions]
        return replace(found, records=tuple(filter(None, called)))

    def same_lists(self, fingerprint: str) -> Sequence[CallList]:
        found = [self.call_list(list_id) for list_id in self.lists]
        same = [one for one in found if one is not None and one.fingerprint == fingerprint]
        same.sort(key=lambda one: one.asked_at, reverse=True)
        return sorted(same, key=lambda one: one.stop_reason is not None)

    def lists_in_progress(self) -> Sequence[CallList]:
        found = [self.call_list(list_id) for list_id in self.lists]
        going_on = [one for one in found if one and (one.ended_at is None or one.is_calling)]
        return sorted(going_on, key=lambda one: one.asked_at)

    def holds_lease(self, worker: str) -> bool:
        return worker in self.living

    def is_abandoned(self, worker: str) -> bool:
        return worker not in self.living

    def was_used(self, confirmation_id: str) -> bool:
        return confirmation_id in self.used

    def opt_out(self, number: str) -> OptOut | None:
        return self.opt_outs.get(number)

    def was_lifted(self, call_id: str) -> bool:
        return call_id in self.lifted
