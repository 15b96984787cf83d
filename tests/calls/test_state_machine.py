"""Calls as a state machine: Hypothesis plays users, clients, the service, clocks, and dying processes in any order.

The model is small: which records were made, what a client was told, and what the service saw. It judges by what the
service saw, never by what the program says of itself. Time passes only when a rule says so.
"""

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, TypeVar

import anyio
import anyio.from_thread
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from starlette.requests import Request

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.calls.ledger.base import ConsentOutdatedError, LedgerUnavailableError
from kallyai_mcp.calls.policy import CallPolicy, Consent
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.timing import Timing
from tests.calls.ledgers import InterruptedDatabase, database_at
from tests.calls.manual_time import ManualClock, rest, run
from tests.calls.world import NOW, TABLE, Json, Service, World, world

Result = TypeVar("Result")

TIMING = Timing(watch=30, search=30, keep_days=1)
PER_NUMBER = 2
"""The most calls of an account to one number in a day."""

TASKS = {"table": "+14155551234", "hours": "+14155551234", "room": "+34911234567"}
"""What may be asked for, and who is called."""

REACHED = {"success": True, "Completed": True, "busy": False, "voicemail": False}
"""The statuses of calls that have ended, and whether somebody was reached."""

EVENTS = (
    *("suspend 10", "suspend 4000", "set-clock -1000", "set-clock 1000", "order oldest-first", "order newest-first"),
    *("ledger down", "ledger up", "ledger up", "end-process", "end-process"),
)

_examples = itertools.count()

processes = st.sampled_from([0, 1])
tasks = st.sampled_from(sorted(TASKS))
statuses = st.sampled_from(sorted(REACHED))
modes = st.sampled_from(["answer", "hang", "progress", "lose", "lose-late", "drop", "limit", "refuse"])
confirmations = st.sampled_from([None, None, "x", "y"])


@dataclass
class PhoneCall:
    """A call that the service placed."""

    account: str
    key: str
    task: str
    shown: Json
    at: float
    listed_from: float
    ended: anyio.Event = field(default_factory=anyio.Event)


@dataclass
class Process:
    """One process: what it has, and what ends it."""

    world: World
    database: InterruptedDatabase
    managed: AbstractContextManager[World]


@dataclass
class ModelService(Service):
    """KallyAI that places a call for every request, unless it knows the key from less than a second ago.

    Attributes:
        mode: What it does with a request for a call. `answer`: it answers when the call has ended. `hang`: it answers
            after a rule has ended the call. `progress`: it answers that the call is in progress. `lose`: the answer
            is lost. `lose-late`: the answer is lost, and the call is listed later. `drop`: the request is lost.
            `limit`: it refuses the request because of too many requests. `refuse`: it refuses the request.
        status: How calls end.
        placed: The calls it has placed.
        sent: The account, the key, and the time (by `passed`) of each request for a call.
        passed: Seconds that have passed, also while the machine was suspended.
        is_reversed: The list has the oldest call first.
    """

    mode: str = "answer"
    status: str = "success"
    placed: list[PhoneCall] = field(default_factory=list)
    sent: list[tuple[str, str, float]] = field(default_factory=list)
    passed: Callable[[], float] = lambda: 0.0
    is_reversed: bool = False

    def end(self, call: PhoneCall) -> None:
        call.shown |= {"status": self.status, "highlights": "They talked", "duration_seconds": 60}
        call.ended.set()

    async def _answer(self, request: Request) -> tuple[int, Json]:
        account = request.headers["Authorization"].removeprefix("Bearer token-of-")
        if request.method == "POST":
            return await self._place(account, request.headers["Idempotency-Key"], await request.json())
        mine = [call.shown for call in self.placed if call.account == account and call.listed_from <= self.passed()]
        if request.url.path == "/v1/calls":
            offset, limit = int(request.query_params["offset"]), int(request.query_params["limit"])
            listed = mine if self.is_reversed else mine[::-1]
            return 200, {"calls": listed[offset : offset + limit], "total": len(mine)}
        found = [call for call in mine if request.url.path.endswith(f"/{call['call_id']}")]
        return (200, found[0]) if found else (404, {"error": {"code": "call_not_found"}})

    async def _place(self, account: str, key: str, body: Json) -> tuple[int, Json]:
        self.sent.append((account, key, self.passed()))
        known = [call for call in self.placed if (call.account, call.key) == (account, key)]
        if self.mode == "refuse":
            return 403, {"error": {"code": "suppression_violation"}}
        if self.mode == "limit":
            return 429, {"error": {"code": "rate_limited"}}
        if self.mode == "drop":
            return 500, {}
        if known and self.passed() - known[-1].at <= 1:
            call = known[-1]
        else:
            call = self._placed(account, key, body["submission"])
        if self.mode in {"answer", "lose"}:
            self.end(call)
        if self.mode in {"lose", "lose-late"}:
            return 500, {}
        if self.mode == "hang":
            await call.ended.wait()
        return 201, call.shown

    def _placed(self, account: str, key: str, submission: Json) -> PhoneCall:
        shown = {
            "call_id": f"c-{key}-{len(self.placed)}",
            "status": "in_progress",
            "created_at": self.service_time().isoformat(),
            "submission": submission,
        }
        at = self.passed()
        listed_from = at + 15 if self.mode == "lose-late" else at
        call = PhoneCall(account, key, submission["task_description"], shown, at, listed_from)
        self.placed.append(call)
        return call


class Calls(RuleBasedStateMachine):
    """Two processes on one ledger, two accounts, one service.

    Attributes:
        ledger: Where the ledger is. Each example has accounts of its own.
    """

    ledger: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.name = f"example-{next(_examples)}"
        self.clock = ManualClock(NOW)
        self.suspended = 0.0
        self.clock_was_set = False
        self.service = ModelService(self.clock, passed=lambda: self.clock.monotonic() + self.suspended)
        self.signed_in = [f"{self.name}-a"] * 2
        self.is_down = False
        self.records: dict[str, CallRecord] = {}
        self.reserved_at: dict[str, float] = {}
        self.told: dict[tuple[str, CallState], datetime] = {}
        self.used: set[str] = set()
        self.stack = ExitStack()
        self.portal = self.stack.enter_context(anyio.from_thread.start_blocking_portal())
        self.processes: dict[int, Process] = {}

    def run(self, work: Awaitable[Result]) -> Result:
        """Do `work` in the event loop of both processes, and whatever follows from it at the same instant."""

        async def run_and_rest() -> Result:
            result = await run(self.clock, work)
            await rest(self.clock)
            return result

        return self.portal.call(run_and_rest)

    def process(self, number: int) -> World:
        """A living process, started if need be, with its user signed in."""
        if number not in self.processes:
            database = InterruptedDatabase(database_at(self.ledger, self.clock.now))
            if self.is_down:
                database.go_down()
            policy = CallPolicy(calls_per_number=PER_NUMBER)
            made = world(self.service, self.ledger, timing=TIMING, policy=policy, clock=self.clock, database=database)
            managed = self.portal.wrap_async_context_manager(made)
            self.processes[number] = Process(managed.__enter__(), database, managed)
        here = self.processes[number].world
        here.session.name = self.signed_in[number]
        return here

    # What users and clients do

    @rule(number=processes, task=tasks, mode=modes, status=statuses, redial=st.booleans(), confirmation=confirmations)
    def ask_for_a_call(
        self, number: int, task: str, mode: str, status: str, *, redial: bool, confirmation: str | None
    ) -> None:
        self.service.mode, self.service.status = mode, status
        self._ask(number, task, redial=redial, confirmation=confirmation)

    @precondition(lambda self: self.records)
    @rule(number=processes, redial=st.booleans())
    def ask_again(self, number: int, *, redial: bool) -> None:
        self._ask(number, task_of(list(self.records.values())[-1]), redial=redial, confirmation=None)

    def _ask(self, number: int, task: str, *, redial: bool, confirmation: str | None) -> None:
        here, account = self.process(number), self.signed_in[number]
        submission = TABLE.model_copy(update={"task_description": task, "respondent_phone": TASKS[task]})
        try:
            same, refused = self._duplicate(here, account, task, redial=redial), self._limit(here, account, task)
            found = self.run(here.calls.precheck(submission, timezone="UTC", redial=redial))
        except LedgerUnavailableError:
            assert self.is_down
            return
        id_ = confirmation and f"{self.name}-{confirmation}"
        consent = Consent("model", "confirmation", last_call=found.last_call, confirmation_id=id_)
        try:
            placed = self.run(here.calls.place(submission, timezone="UTC", redial=redial, consent=consent))
        except LedgerUnavailableError:
            assert self.is_down
        except PolicyError:
            assert (same, refused) == (None, True)
        except ConsentOutdatedError:
            assert (same, refused, id_ in self.used) == (None, False, True)
        else:
            if not self.is_down:
                # A process counts the time since it told an outcome, also when the clock is set.
                assert placed.is_new is (same is None) or (self.clock_was_set and not placed.is_new)
                assert same is None or placed.record.tracking_id == same or self.clock_was_set
            if placed.is_new:
                assert not refused
                assert id_ not in self.used
                self.used |= {id_} if id_ else set()
                self.records[placed.record.tracking_id] = placed.record
                self.reserved_at[placed.record.idempotency_key] = self.service.passed()

    @precondition(lambda self: not self.is_down)
    @rule(number=processes, task=tasks)
    def tell_the_newest_outcome(self, number: int, task: str) -> None:
        here = self.process(number)
        for record in self._of(self.signed_in[number], task)[-1:]:
            found = self.run(here.calls.find(record.tracking_id))
            if found is not None and not found.is_active:
                self.run(here.tell(found))
                self.told.setdefault((found.tracking_id, found.state), self.clock.now())

    # What the service does

    @rule(status=statuses)
    def end_a_call(self, status: str) -> None:
        for call in [call for call in self.service.placed if not call.ended.is_set()][:1]:
            self.service.status = status
            self._end(call)

    # What happens to processes, ledgers, and clocks

    @rule(seconds=st.sampled_from([0.3, 2, 20, 61]), number=processes, account=st.sampled_from("aab"))
    def someone_signs_in_and_time_passes(self, seconds: float, number: int, account: str) -> None:
        self.signed_in[number] = f"{self.name}-{account}"
        if number in self.processes:
            self.process(number)
        self.run(self.clock.sleep(seconds))

    @rule(event=st.sampled_from(EVENTS), number=processes)
    def something_else_happens(self, event: str, number: int) -> None:
        match event.split():
            case "suspend", seconds:
                self.clock.set_wall_clock(float(seconds))
                self.suspended += float(seconds)
            case "set-clock", seconds:
                self.clock.set_wall_clock(float(seconds))
                self.service.clock_offset = (self.service.clock_offset or 0) - float(seconds)
                self.clock_was_set = True
            case "order", order:
                self.service.is_reversed = order == "oldest-first"
            case "ledger", state:
                self._set_ledger(is_down=state == "down")
            case ["end-process"]:
                self._end_process(number)

    def _set_ledger(self, *, is_down: bool) -> None:
        self.is_down = is_down
        for process in self.processes.values():
            if is_down:
                process.database.go_down()
            else:
                process.database.repair()

    def _end_process(self, number: int) -> None:
        if number in self.processes:
            self.processes.pop(number).managed.__exit__(None, None, None)

    # What must hold

    @invariant()
    def nothing_was_placed_that_nobody_asked_for(self) -> None:
        asked = Counter((record.account.account, task_of(record)) for record in self.records.values())
        placed = Counter((call.account, call.task) for call in self.service.placed)
        assert placed <= asked

    @invariant()
    def every_request_left_in_time_and_on_its_account(self) -> None:
        accounts = {record.idempotency_key: record.account.account for record in self.records.values()}
        for account, key, at in self.service.sent:
            assert account == accounts[key]
            assert self.clock_was_set or at - self.reserved_at[key] <= TIMING.send_within

    def teardown(self) -> None:
        try:
            self._settle()
        finally:
            for number in list(self.processes):
                self._end_process(number)
            self.stack.close()

    def _settle(self) -> None:
        """Repair everything, wait, and compare what the records say with what the service did."""
        self._set_ledger(is_down=False)
        self.service.mode = "answer"
        for call in self.service.placed:
            self._end(call)
        for self.signed_in in ([f"{self.name}-{account}"] * 2 for account in "ab"):
            here, _ = self.process(0), self.process(1)
            self.run(here.calls.list_unsettled())
            self.run(self.clock.sleep(TIMING.search + 2 * TIMING.watch + 10))
            assert not [record for record in self.run(here.calls.list_unsettled()) if record.is_active]
            for record in self.records.values():
                if record.account.account == self.signed_in[0]:
                    self._check(record, self.run(here.calls.find(record.tracking_id)))

    def _check(self, record: CallRecord, found: CallRecord | None) -> None:
        calls = [call for call in self.service.placed if call.key == record.idempotency_key]
        if found is None:
            assert [state for id_, state in self.told if id_ == record.tracking_id]
        elif found.state is CallState.REFUSED:  # after 429, the next request has the same key
            same_key = [each for each in self.records.values() if each.idempotency_key == record.idempotency_key]
            assert not calls or (found.error is not None and found.error.code == "rate_limited" and len(same_key) > 1)
        elif found.state is CallState.ENDED:
            assert found.call is not None
            assert found.call.call_id in [call.shown["call_id"] for call in calls]
        else:
            rivals = self._of(record.account.account, task_of(record))
            assert found.state is CallState.UNKNOWN
            assert not calls or len(rivals) > 1 or self.clock_was_set

    # The model

    def _of(self, account: str, task: str) -> list[CallRecord]:
        return [r for r in self.records.values() if (r.account.account, task_of(r)) == (account, task)]

    def _duplicate(self, here: World, account: str, task: str, *, redial: bool) -> str | None:
        """The record with which a request must be answered (rule 6)."""
        for record in reversed(self._of(account, task)):
            found = self.run(here.calls.find(record.tracking_id))
            if found is None or found.state in {CallState.REFUSED, CallState.CANCELED}:
                continue
            told = self.told.get((found.tracking_id, found.state))
            if found.is_active or told is None or (found.state is CallState.UNKNOWN and not redial):
                return found.tracking_id
            if redial or found.call is None or found.ended_at is None:
                continue
            now = self.clock.now()
            is_recent = REACHED[found.call.status] and now - found.ended_at < timedelta(hours=1)
            if is_recent or now - told < timedelta(minutes=1):
                return found.tracking_id
        return None

    def _limit(self, here: World, account: str, task: str) -> bool:
        """Whether the number was called as often as the policy allows."""
        to_number = [r for other in TASKS if TASKS[other] == TASKS[task] for r in self._of(account, other)]
        found = [self.run(here.calls.find(record.tracking_id)) for record in to_number]
        day_ago = self.clock.now() - timedelta(days=1)
        counted = [r for r in found if r and r.placed_at > day_ago and r.state is not CallState.REFUSED]
        return len(counted) >= PER_NUMBER

    def _end(self, call: PhoneCall) -> None:
        async def end() -> None:
            self.service.end(call)

        if not call.ended.is_set():
            self.run(end())


def task_of(record: CallRecord) -> str:
    return record.submission.task_description


def check(place: str, *, examples: int, steps: int, first: int | None = None) -> None:
    """Play so many examples of so many steps on the ledger at `place`.

    Args:
        place: Where the ledger is.
        examples: How many.
        steps: How many events an example has.
        first: The seed; None for the same examples each time.

    Raises:
        Exception: Something did not hold; a note has the steps of the example.
    """

    class CallsAtPlace(Calls):
        ledger = place

    if first is not None:
        seed(first)(CallsAtPlace)  # marks the class itself
    run_state_machine_as_test(
        CallsAtPlace,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=first is None,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


# A small share of `python -m tests.fuzz --only calls`.


def test_calls_in_any_order_of_events_on_sqlite(tmp_path: Path) -> None:
    check(str(tmp_path / "ledger.db"), examples=10, steps=40)


def test_calls_in_any_order_of_events_on_postgres(database_url: str) -> None:
    check(database_url, examples=4, steps=30)
