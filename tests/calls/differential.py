"""Random events on the ledger and on records in a dict, which decide them by the same rules.

After each event, both have the same records and lists, and have returned the same. So a decision
reads all that matters from SQL, and what it has decided is what is written.

    python -m tests.calls.differential --examples 2000
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kallyai_mcp.api.errors import (
    KallyAIError,
    NotSignedInError,
    NumberRefusedError,
    RateLimitedError,
)
from kallyai_mcp.calls import list_requests
from kallyai_mcp.calls.appointment import Appointment, Calendar
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.changes import View
from kallyai_mcp.calls.errors import LookFirstError
from kallyai_mcp.calls.events import (
    Adopt,
    Cancel,
    CancelList,
    Checked,
    Delayed,
    Due,
    Event,
    Found,
    LastDelivered,
    Late,
    Leave,
    ListRequested,
    Lost,
    Over,
    Refuse,
    Release,
    RemoveOptOut,
    Requested,
    TranscriptRead,
)
from kallyai_mcp.calls.ledger import list_rows, record_rows, rows, search_index
from kallyai_mcp.calls.ledger.apply import handle
from kallyai_mcp.calls.ledger.base import Ledger, Row, Tx
from kallyai_mcp.calls.ledger.view import SqlView
from kallyai_mcp.calls.opt_outs import opt_out_said
from kallyai_mcp.calls.outcome import Findings
from kallyai_mcp.calls.policy import NOT_LOOKED_AT, CallPolicy, Consent, RiskFlag
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.schedule import Schedule, bounded
from kallyai_mcp.calls.speech.disclosure import Disclosure
from kallyai_mcp.calls.speech.machine import SpokeWith
from kallyai_mcp.calls.speech.sentences import Words
from kallyai_mcp.calls.speech.spoken import NOTHING_SPOKEN, Spoken
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.settings import Settings
from tests.calls.dict_view import NEVER, DictView
from tests.calls.ledgers import ACCOUNT, HERE, NOW, opened, outcome, submission
from tests.calls.manual_time import ManualClock

NUMBERS = (HERE, "+442079460123", "+34911234567")
WORKERS = ("worker-1", "worker-2")
TABLES = (
    *("calls", "call_lists", "audit", "shared_values", "call_list_calls", "opt_outs"),
    "call_words",
)
LIMITS = CallPolicy(Settings(calls_per_hour=6, calls_per_number=4, deny_numbers=("+34",)))
ERRORS = (
    KallyAIError("It was not sent.", code="not_sent"),
    RateLimitedError("Too many requests.", retry_after=60),
    RateLimitedError("Too many requests.", retry_after=7200),
    NotSignedInError("Nobody is signed in."),
    NumberRefusedError("This number can't be called.", code="country_restriction", status=422),
    NumberRefusedError("It is on a list.", code="suppression_violation", status=403),
)
STATUSES = ("success", "busy", "no_answer", "voicemail", "failed", "a new status")
CALENDARS = (
    None,
    Calendar(is_known=False),
    Calendar(),
    Calendar(Appointment(start=NOW + timedelta(days=2))),
)
PERSON = Spoken(Disclosure(said=False), SpokeWith.PERSON)
OPTED_OUT = replace(PERSON, opt_out=Words("Please do not call us again.", "00:00:12"))
SPOKEN = (None, None, NOTHING_SPOKEN, PERSON, PERSON, OPTED_OUT)
PAUSES = (0, 0.5, 5, 5, 61, 61, 130, 130, 900, 900, 1801, 3700, 19_500, 86_400, -0.5, -400)


class Side(Protocol):
    """One of the two that handle events."""

    def handle(self, event: Event[Any]) -> Any:
        """Handle an event; returns its answer."""

    def tell(self, record: CallRecord, *, delivered: bool) -> None:
        """A client was told how a call ended, or was not told after all."""

    def ask(self, question: Callable[[View], Any]) -> Any:
        """What a view shows."""

    def clear(self) -> None:
        """Forget all."""

    def rows(self) -> dict[str, list[Row]]:
        """All that was written."""


@dataclass
class World:
    """What both sides know, beside what was written."""

    clock: ManualClock
    living: set[str] = field(default_factory=lambda: set(WORKERS))
    trusts: bool = True


class InDict:
    """Records in a dict."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.clear()

    def handle(self, event: Event[Any]) -> Any:
        return self._view_now().handle(event)

    def tell(self, record: CallRecord, *, delivered: bool) -> None:
        known, now = self._view.record(record.tracking_id), self._world.clock.now()
        if known is not None and known.state is record.state and not record.is_open:
            told = replace(known, delivered_at=now if delivered else None)
            self._view.records[record.tracking_id] = told

    def ask(self, question: Callable[[View], Any]) -> Any:
        return question(self._view_now())

    def clear(self) -> None:
        self._view = DictView(self._world.clock.now(), policy=LIMITS)

    def rows(self) -> dict[str, list[Row]]:
        return {
            "calls": [record_rows.to_row(one) for one in self._view.records.values()],
            "call_lists": [list_rows.to_row(one) for one in self._view.lists.values()],
            "audit": [_line(one.record, one.refused_by) for one in self._view.audit],
            "used": [{"name": name} for name in sorted(self._view.used)],
            "lifted": [{"name": name} for name in sorted(self._view.lifted - {""})],
            "opt_outs": [vars(one) for one in self._view.opt_outs.values()],
            "call_words": _words(self._view.records.values()),
        }

    def _view_now(self) -> DictView:
        self._view.now = self._world.clock.now()
        self._view.living, self._view.trusts = self._world.living, self._world.trusts
        return self._view


def _line(record: CallRecord, refused_by: str | None) -> Row:
    outcome_ = "placed" if record.is_active else "scheduled"
    return {
        "tracking_id": record.tracking_id,
        "outcome": f"refused:{refused_by}" if refused_by else outcome_,
    }


class InLedger:
    """Records in a ledger."""

    def __init__(self, ledger: Ledger, run: Callable[[Any], Any], world: World) -> None:
        self._ledger, self._run, self._world = ledger, run, world

    def handle(self, event: Event[Any]) -> Any:
        return self._write(lambda tx: handle(tx, ACCOUNT, event))

    def tell(self, record: CallRecord, *, delivered: bool) -> None:
        self._write(partial(rows.mark_delivered, records=[record], delivered=delivered))

    def ask(self, question: Callable[[View], Any]) -> Any:
        return self._write(lambda tx: question(SqlView(tx, ACCOUNT)))

    def clear(self) -> None:
        for table in TABLES:
            self._write(partial(Tx.run, statement=f"DELETE FROM {table}"))  # noqa: S608 - of this module

    def rows(self) -> dict[str, list[Row]]:
        found = self._write(_all_rows)
        calls = [record_rows.to_row(record_rows.from_row(row)) for row in found["calls"]]
        shared = sorted((row["kind"], row["name"]) for row in found["shared_values"])
        return {
            "calls": calls,
            "call_lists": [
                {name: row[name] for name in _LIST_COLUMNS} for row in found["call_lists"]
            ],
            "audit": [
                {"tracking_id": row["tracking_id"], "outcome": row["outcome"]}
                for row in found["audit"]
            ],
            "used": [{"name": name} for kind, name in shared if kind == "confirmation"],
            "lifted": [{"name": name} for kind, name in shared if kind == "lifted_opt_out"],
            "opt_outs": [
                {name: row[name] for name in _OPT_OUT_COLUMNS} for row in found["opt_outs"]
            ],
            "call_words": sorted(found["call_words"], key=_by_call_and_term),
        }

    def _write(self, work: Callable[[Tx], Any]) -> Any:
        def configured(tx: Tx) -> Any:
            tx.holds_lease = lambda worker: worker in self._world.living
            tx.is_abandoned = lambda worker: worker not in self._world.living
            tx.expires_before = tx.now if self._world.trusts else NEVER.timestamp()
            return work(tx)

        return self._run(self._ledger.write(ACCOUNT, configured))


_LIST_COLUMNS = (
    *("list_id", "api", "account", "fingerprint", "request", "timezone", "asked_at", "passed"),
    *("why", "ended_at"),
)
"""The columns of a list that `list_rows.to_row` writes."""

_OPT_OUT_COLUMNS = ("number", "day", "reason", "call_id", "quote")


def _words(records: Iterable[CallRecord]) -> list[Row]:
    """The rows of the records' words."""
    rows = [
        {
            "term": word.term,
            "placed_at": word.placed_at,
            "tracking_id": record.tracking_id,
            "is_quoted": int(word.is_quoted),
        }
        for record in records
        for word in search_index.word_rows(record)
    ]
    return sorted(rows, key=_by_call_and_term)


def _by_call_and_term(row: Row) -> tuple[str, int]:
    return row["tracking_id"], row["term"]


def _all_rows(tx: Tx) -> dict[str, list[Row]]:
    return {table: tx.rows(f"SELECT * FROM {table}") for table in TABLES}  # noqa: S608 - of this module


def plain(answer: Any) -> Any:
    """An answer as values that can be compared."""
    match answer:
        case CallRecord():
            return record_rows.to_row(answer) | {
                "new": answer.is_new,
                "last": str(answer.last_call),
                "opt_out": answer.opt_out and vars(answer.opt_out),
            }
        case CallList():
            return list_rows.to_row(answer) | {"calls": [_in_list(one) for one in answer.records]}
        case tuple():
            return [plain(one) for one in answer]
        case LookFirstError():
            return ["look first", plain(answer.record)]
        case KallyAIError():
            return [type(answer).__name__, answer.code, str(answer), answer.retry_after]
        case Exception():
            return [type(answer).__name__, str(answer)]
        case _:
            return answer


def _in_list(record: CallRecord) -> Any:
    return plain(replace(record, plan_id=None))


def named(found: Any, of_calls: list[Row]) -> str:
    """A text of what was found, with names for the random ids of records."""
    text = json.dumps(found, sort_keys=True, default=str)
    for row in of_calls:
        name = f"<{row['fingerprint'][:6]} {row['day']} {row['generation']}>"
        text = text.replace(row["tracking_id"], name)
    return text


def difference(one: str, other: str) -> str:
    """Where two texts differ first; empty if they are equal."""
    place = next((at for at in range(len(one)) if one[: at + 1] != other[: at + 1]), len(one))
    if one == other:
        return ""
    start = max(0, place - 300)
    return f"{one[start : place + 200]}  INSTEAD OF  {other[start : place + 200]}"


picks = st.integers(0, 1000)


class BothSides(RuleBasedStateMachine):
    """The same events on both sides.

    A record or a list is kept as a pair, because each side gives it an id of its own.
    """

    def __init__(self, sides: tuple[Side, Side], world: World) -> None:
        super().__init__()
        self._sides, self._world, self._clock = sides, world, world.clock
        self._clock.set_wall_clock((NOW - self._clock.now()).total_seconds())
        world.living, world.trusts = set(WORKERS), True
        self._pairs: list[tuple[CallRecord, CallRecord]] = []
        self._lists: list[tuple[CallList, CallList]] = []
        self._ahead: float | None = None
        self._delivered: LastDelivered | None = None
        self._number = 0
        for side in sides:
            side.clear()

    # Both sides

    def _happens(self, *events: Event[Any]) -> Any:
        """Both sides handle an event; returns their answers."""
        answers = []
        for side, event in zip(self._sides, events * (2 // len(events)), strict=True):
            try:
                answers.append(side.handle(event))
            except (KallyAIError, LookFirstError) as error:
                answers.append(error)
        found = [side.rows() for side in self._sides]
        texts = [
            {table: sorted(named(row, each["calls"]) for row in each[table]) for table in each}
            for each in found
        ]
        assert not difference(*map(str, texts)), events[0]
        pairs = zip(answers, found, strict=True)
        said = [named(plain(answer), each["calls"]) for answer, each in pairs]
        assert not difference(*said), events[0]
        self._keep(answers)
        return answers

    def _keep(self, answers: list[Any]) -> None:
        match answers:
            case [CallRecord() as one, CallRecord() as other]:
                self._pairs.append((one, other))
            case [CallList() as first, CallList() as second]:
                self._lists.append((first, second))
                for pair in zip(first.records, second.records, strict=True):
                    self._keep(list(pair))
            case [tuple() as ones, tuple() as others]:
                for pair in zip(ones, others, strict=True):
                    self._keep(list(pair))
            case _:
                pass

    def _pair(self, pick: int) -> tuple[CallRecord, CallRecord]:
        """One of the records, mostly as the ledgers have it by now."""
        newest = {one.tracking_id: (one, other) for one, other in self._pairs}
        if pick % 5 == 0:
            return self._pairs[-1 - pick % len(self._pairs)]
        known = list(newest.values())
        pair = known[-1 - pick % len(known)]
        one, other = self._read(pair)
        return (one, other) if one is not None and other is not None else pair

    def _service_time(self) -> datetime | None:
        if self._ahead is None:
            return None
        return self._clock.now() + timedelta(seconds=self._ahead)

    def _read(self, pair: tuple[CallRecord, CallRecord]) -> list[CallRecord | None]:
        """What each ledger has of its record."""
        return [
            side.ask(partial(_record_of, record.tracking_id))
            for side, record in zip(self._sides, pair, strict=True)
        ]

    # What happens around them

    @rule(seconds=st.sampled_from(PAUSES))
    def time_passes(self, seconds: float) -> None:
        if seconds < 0:
            self._clock.set_wall_clock(seconds)
        else:
            self._clock.advance(seconds)

    @rule(trusts=st.booleans(), ahead=st.sampled_from((None, 0.0, 30.0, -9000.0, 9000.0)))
    def clocks_differ(self, trusts: bool, ahead: float | None) -> None:
        self._world.trusts, self._ahead = trusts, ahead

    @rule(worker=st.sampled_from(WORKERS))
    def a_worker_dies_or_returns(self, worker: str) -> None:
        self._world.living ^= {worker}

    # Events

    @rule(
        task=st.integers(0, 1),
        number=st.sampled_from(NUMBERS),
        later=st.sampled_from((None, None, 600, 3600)),
        retries=st.integers(0, 2),
        redial=st.booleans(),
        confirmation=st.sampled_from((None, None, "yes-1", "yes-2")),
        how=st.sampled_from(("no consent", "never_asks", "form", "form")),
        knows=st.sampled_from(("all", "all", "nothing")),
        lifts=st.sampled_from((False, False, True)),
        waited=st.sampled_from((None, 0, 90)),
    )
    def requested(
        self,
        task: int,
        number: str,
        later: float | None,
        retries: int,
        redial: bool,
        confirmation: str | None,
        how: Any,
        knows: str,
        lifts: bool,
        waited: float | None,
    ) -> None:
        wanted = submission(task_description=f"Task {task}", respondent_phone=number)
        now = self._clock.now().astimezone(UTC)
        schedule = Schedule(attempts=1 + retries)
        if later is not None:
            due = now + timedelta(seconds=later)
            schedule = Schedule(due, due + timedelta(seconds=1800), 1 + retries)
            schedule = bounded(schedule, wanted, "UTC", agreed_for=due)
        new = replace(
            CallRecord.new(wanted, ACCOUNT, now, "UTC", None, schedule), worker=WORKERS[task]
        )
        arrived = Stopwatch(self._clock)
        if waited:
            self._clock.advance(waited)
        asking = Checked(new, redial, arrived if waited is not None else None, self._delivered)
        answers = self._happens(asking)
        consent = NOT_LOOKED_AT
        if how != "no consent":
            checked = answers[0] if isinstance(answers[0], CallRecord) else new
            known = checked.opt_out if knows == "all" else None
            consent = Consent(
                "test",
                how,
                (),
                (checked.last_call,),
                confirmation,
                opt_outs=() if known is None else (known.id,),
                lifts_opt_out=lifts,
            )
        answers = self._happens(Requested(asking, consent))
        match answers:
            case [LookFirstError() as first, LookFirstError() as second]:
                self._happens(
                    Requested(asking, consent, first.record.tracking_id),
                    Requested(asking, consent, second.record.tracking_id),
                )

    @precondition(lambda self: self._pairs)
    @rule(
        pick=picks,
        status=st.sampled_from(STATUSES),
        calendar=st.sampled_from(CALENDARS),
        reached=st.sampled_from((True, False, False, None)),
        spoken=st.sampled_from(SPOKEN),
        error=st.sampled_from((None, None, *ERRORS)),
    )
    def runs_to_its_end(
        self,
        pick: int,
        status: str,
        calendar: Calendar | None,
        reached: bool | None,
        spoken: Spoken | None,
        error: KallyAIError | None,
    ) -> None:
        pair = self._pair(pick)
        due = pair[0].schedule.not_before
        self._ahead, self._world.living = None, set(WORKERS)
        if pair[0].state is CallState.SCHEDULED and due is not None:
            self._clock.advance(max(0.0, (due - self._clock.now()).total_seconds()))
            self.is_due(WORKERS[pick % 2])
        pair = self._now(pair)
        self._happens(*(Leave(record, self._service_time) for record in pair))
        pair = self._now(pair)
        if error is not None:
            self._happens(*(Refuse(record, error) for record in pair))
            return
        self._clock.advance(60)
        self._number += 1
        found = outcome(status, pair[0].call_id or f"call-{self._number}")
        findings = Findings(calendar, reached, spoken)
        self._happens(*(Over(one.ended_with(found, findings)) for one in pair))

    def _now(self, pair: tuple[CallRecord, CallRecord]) -> tuple[CallRecord, CallRecord]:
        one, other = self._read(pair)
        return one or pair[0], other or pair[1]

    @precondition(lambda self: self._pairs)
    @rule(pick=picks)
    def leaves(self, pick: int) -> None:
        pair = self._pair(pick)
        known = self._read(pair)[0]
        # A record that was read before its request left says nothing about that.
        assume(known is None or known.sent_at is None or pair[0].sent_at == known.sent_at)
        self._happens(*(Leave(record, self._service_time) for record in pair))

    @precondition(lambda self: self._pairs)
    @rule(pick=picks, error=st.sampled_from(ERRORS))
    def is_delayed(self, pick: int, error: KallyAIError) -> None:
        self._happens(*(Delayed(record, error) for record in self._pair(pick)))

    @precondition(lambda self: self._pairs)
    @rule(pick=picks, since=st.sampled_from((None, 2.0, 40.0)))
    def is_lost(self, pick: int, since: float | None) -> None:
        passed = None if since is None else lambda: since
        self._happens(*(Lost(one, self._service_time, passed) for one in self._pair(pick)))

    @precondition(lambda self: self._pairs)
    @rule(pick=picks, error=st.sampled_from(ERRORS))
    def is_refused(self, pick: int, error: KallyAIError) -> None:
        self._happens(*(Refuse(record, error) for record in self._pair(pick)))

    @precondition(lambda self: self._pairs)
    @rule(
        pick=picks,
        status=st.sampled_from((*STATUSES, "in_progress")),
        call=st.integers(0, 3),
        calendar=st.sampled_from(CALENDARS),
        reached=st.sampled_from((True, False, None)),
        spoken=st.sampled_from(SPOKEN),
        proven=st.booleans(),
        ends=st.booleans(),
    )
    def is_found(
        self,
        pick: int,
        status: str,
        call: int,
        calendar: Calendar | None,
        reached: bool | None,
        spoken: Spoken | None,
        proven: bool,
        ends: bool,
    ) -> None:
        found = outcome(status, f"c-{call}")
        pair = self._pair(pick)
        if ends and found.is_final:
            findings = Findings(calendar, reached, spoken)
            pair = (pair[0].ended_with(found, findings), pair[1].ended_with(found, findings))
        self._happens(*(Found(one, found, proven, self._service_time) for one in pair))

    @precondition(lambda self: self._pairs)
    @rule(
        pick=picks,
        status=st.sampled_from(STATUSES),
        calendar=st.sampled_from(CALENDARS),
        reached=st.sampled_from((True, False, False, None)),
        spoken=st.sampled_from(SPOKEN),
    )
    def is_over(
        self,
        pick: int,
        status: str,
        calendar: Calendar | None,
        reached: bool | None,
        spoken: Spoken | None,
    ) -> None:
        pair = self._pair(pick)
        self._number += 1
        found = outcome(status, pair[0].call_id or f"call-{self._number}")
        findings = Findings(calendar, reached, spoken)
        self._happens(*(Over(one.ended_with(found, findings)) for one in pair))

    @precondition(lambda self: self._pairs)
    @rule(
        pick=picks,
        state=st.sampled_from((CallState.UNKNOWN, CallState.REFUSED)),
        error=st.sampled_from(ERRORS),
    )
    def is_over_without_a_call(self, pick: int, state: CallState, error: KallyAIError) -> None:
        pair = self._pair(pick)
        self._happens(*(Over(replace(one, state=state, call=None, error=error)) for one in pair))

    @precondition(lambda self: self._pairs)
    @rule(pick=picks, spoken=st.sampled_from(SPOKEN[2:]))
    def is_read_later(self, pick: int, spoken: Spoken) -> None:
        call_id = self._pair(pick)[0].call_id or "of another program"
        words = spoken.opt_out
        opt_out = None
        if words is not None:
            opt_out = opt_out_said(NUMBERS[pick % 3], words, call_id, "2026-01-24")
        self._happens(TranscriptRead(call_id, spoken, opt_out))

    @rule(number=st.sampled_from(NUMBERS))
    def an_opt_out_is_removed(self, number: str) -> None:
        self._happens(RemoveOptOut(number))

    @precondition(lambda self: self._pairs)
    @rule(pick=picks)
    def is_canceled(self, pick: int) -> None:
        self._happens(*(Cancel(record.tracking_id) for record in self._pair(pick)))

    @precondition(lambda self: self._pairs)
    @rule(pick=picks)
    def is_released(self, pick: int) -> None:
        self._happens(*(Release(record.tracking_id) for record in self._pair(pick)))

    @precondition(lambda self: self._pairs)
    @rule(worker=st.sampled_from(WORKERS))
    def is_due(self, worker: str) -> None:
        only = [
            [pair[side].tracking_id for pair in self._pairs]
            + [pair[side].list_id for pair in self._lists]
            for side in (0, 1)
        ]
        self._happens(*(Due(worker, frozenset(ids), self._service_time) for ids in only))

    @rule(worker=st.sampled_from(WORKERS), pick=picks)
    def is_adopted(self, worker: str, pick: int) -> None:
        known = [frozenset[str](), frozenset[str]()]
        if self._pairs and pick % 2:
            known = [frozenset({record.tracking_id}) for record in self._pair(pick)]
        self._happens(*(Adopt(worker, ids) for ids in known))

    @precondition(lambda self: self._pairs)
    @rule(all_of_them=st.booleans(), pick=picks)
    def is_late(self, all_of_them: bool, pick: int) -> None:
        meant = self._pairs if all_of_them else [self._pair(pick)]
        ids = [sorted({pair[side].tracking_id for pair in meant}) for side in (0, 1)]
        self._happens(*(Late(of_side) for of_side in ids))

    @precondition(lambda self: self._pairs)
    @rule(pick=picks, delivered=st.booleans())
    def is_told(self, pick: int, delivered: bool) -> None:
        for side, record in zip(self._sides, self._pair(pick), strict=True):
            side.tell(record, delivered=delivered)
        if delivered:
            first, second = self._pair(pick)
            if first.tracking_id == second.tracking_id:
                self._delivered = LastDelivered(first.tracking_id, Stopwatch(self._clock))

    @rule(
        until=st.sampled_from(("booked", "answered", "all")),
        goes_on=st.booleans(),
        confirmation=st.sampled_from((None, None, "yes-1", "yes-3")),
        how=st.sampled_from(("never_asks", "form")),
        knows=st.booleans(),
        zone=st.sampled_from(("UTC", "Asia/Tokyo")),
        task=st.sampled_from(("Task 0", "Task 9")),
    )
    def a_list_is_requested(
        self,
        until: Any,
        goes_on: bool,
        confirmation: str | None,
        how: Any,
        knows: bool,
        zone: str,
        task: str,
    ) -> None:
        candidates = tuple(
            submission(task_description=task, respondent_phone=one) for one in NUMBERS
        )
        zones, now = (zone,) * len(NUMBERS), self._clock.now()
        wanted = CallList(ACCOUNT, candidates, until, False, zones, now)
        wanted = replace(wanted, goes_on_if_answered=goes_on)
        self._ask_for_list((wanted, wanted), how, confirmation, knows=knows)

    @precondition(lambda self: self._lists)
    @rule(
        pick=picks,
        confirmation=st.sampled_from((None, "yes-4")),
        how=st.sampled_from(("never_asks", "form", "first_consent")),
    )
    def a_list_is_to_go_on(self, pick: int, confirmation: str | None, how: Any) -> None:
        pair = self._lists[-1 - pick % len(self._lists)]
        found = [
            side.ask(partial(_list_of, one.list_id))
            for side, one in zip(self._sides, pair, strict=True)
        ]
        pair = (found[0] or pair[0], found[1] or pair[1])
        self._ask_for_list(pair, how, confirmation, knows=pick % 2 == 0)

    @precondition(lambda self: self._lists)
    @rule(pick=picks)
    def a_list_is_canceled(self, pick: int) -> None:
        pair = self._lists[-1 - pick % len(self._lists)]
        self._happens(*(CancelList(one.list_id) for one in pair))

    def _ask_for_list(
        self, pair: tuple[CallList, CallList], how: Any, confirmation: str | None, *, knows: bool
    ) -> None:
        called = self._sides[0].ask(lambda view: list_requests.last_calls(view, pair[0]))
        known = self._sides[0].ask(lambda view: [view.opt_out(one) for one in NUMBERS])
        opt_outs = tuple(one.id for one in known if one is not None and knows)
        reasons = dict.fromkeys(NUMBERS, tuple(RiskFlag))
        consent = Consent("test", how, (), called, confirmation, opt_outs=opt_outs, reasons=reasons)
        self._number += 1
        ids = tuple(f"t-next-{self._number}-{number}" for number in range(2))
        self._happens(*(ListRequested(one, consent, WORKERS[0], ids) for one in pair))


def _record_of(tracking_id: str, view: View) -> CallRecord | None:
    return view.record(tracking_id)


def _list_of(list_id: str, view: View) -> CallList | None:
    return view.call_list(list_id)


def check(place: str, examples: int, *, is_random: bool, steps: int = 40) -> None:
    """Run so many series of events on the ledger at a place."""
    world = World(ManualClock(NOW))
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        ledger = runner.run(stack.enter_async_context(opened(place, world.clock.now, LIMITS)))
        sides = InLedger(ledger, runner.run, world), InDict(world)
        try:
            run_state_machine_as_test(
                # It calls any factory; its types name a class alone.
                lambda: BothSides(sides, world),  # type: ignore[arg-type]
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    database=None,
                    derandomize=not is_random,
                    suppress_health_check=list(HealthCheck),
                    print_blob=True,
                ),
            )
        finally:
            runner.run(stack.aclose())


def _memory() -> str | None:
    """A folder in memory, where a write takes no time; None where there is none."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - for a test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--steps", type=int, default=40)
    found = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        check(str(Path(folder, "ledger.db")), found.examples, is_random=True, steps=found.steps)


if __name__ == "__main__":
    main()
