"""Carries out a plan: starts the processes, asks for the calls, lets things fail, and collects the
evidence.
"""

import logging
import math
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from mcp.shared.exceptions import MCPError

from tests.agent import Answer
from tests.faults.simulation.ledgers import LedgerPlace, Row
from tests.faults.simulation.plan import (
    ACCOUNT,
    NUMBER,
    OTHER_ACCOUNT,
    Ask,
    Event,
    Plan,
    Start,
    What,
)
from tests.faults.simulation.process import Process, SignIn
from tests.faults.simulation.service import PhoneCall, SimulatedService, plain
from tests.faults.simulation.world import HungError, World

ACCOUNTS = (ACCOUNT, OTHER_ACCOUNT)
ACTIVE = ("reserved", "sent")
OPEN = ("in_progress", "unknown", "needs_confirmation")
"""The values of `status` in an answer that has no outcome."""

_SETTLED_WITHIN, _LATER_WITHIN = 3 * 3600.0, 16 * 3600.0
"""Simulated seconds within which every record must have its end; one that is due later may wait for
the morning.
"""

_LOOKS_AT_LIST = 60

_CALLED_WITHIN = 7200.0
"""Simulated seconds after which an agent no longer waits for a call that it means to cancel."""

_LOGGERS = ("kallyai_mcp", "mcp")
"""Whose errors are errors of the program: the SDK logs what a tool raises unexpectedly."""

_NOTED = ("redial", "wait_seconds", "confirmation", "call_id", "continue_after")
"""The arguments that are in the log."""


@dataclass
class Use:
    """One use of a tool; the `task` is that of a request for a call.

    `asked` and `answered` are places in the order of everything that the agent sent and got,
    infinite without an answer; the other times are true. `accounts` are all that were signed in
    until its end.
    """

    tool: str
    process: str
    task: int | None
    arguments: dict[str, Any]
    account: str
    asked: int
    asked_at: datetime
    answered: float = math.inf
    answered_at: datetime | None = None
    answer: Answer | None = None
    text: str = "no answer"
    gave_up_silently: bool = False
    accounts: set[str] = field(default_factory=set)

    @property
    def status(self) -> str | None:
        """The status in the answer."""
        return (
            self.answer.data.get("status")
            if self.answer is not None and not self.answer.is_error
            else None
        )

    @property
    def is_outcome(self) -> bool:
        """Whether the answer has an outcome."""
        return self.status is not None and self.status not in OPEN


@dataclass
class Evidence:
    """What is known after a run: the truth (`service`), what the agent was told (`uses`), and what
    the ledgers have.

    `shown` is what `get_call` answers at the end, by both ids; `errors` went wrong in the program
    itself; `ended` says when processes ended before the end of the run.
    """

    plan: Plan
    service: SimulatedService
    uses: list[Use] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    lists: list[Row] = field(default_factory=list)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    ended: dict[str, datetime] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    @property
    def placed(self) -> Sequence[PhoneCall]:
        """The calls that our processes had placed, oldest first."""
        return [call for call in self.service.calls if call.is_ours]

    def times_of(self, what: What) -> list[datetime]:
        """When these events happened."""
        return [
            self.plan.begins + timedelta(seconds=event.at)
            for event in self.plan.events
            if event.what == what
        ]

    @property
    def clock_set(self) -> tuple[timedelta, timedelta]:
        """How far the clock of processes may have been set back, and forward; both are positive."""
        jumps = [event.seconds for event in self.plan.events if event.what == "has its clock set"]
        back, forward = (
            -sum(jump for jump in jumps if jump < 0),
            sum(jump for jump in jumps if jump > 0),
        )
        return timedelta(seconds=back), timedelta(seconds=forward)

    @property
    def most_ahead(self) -> float:
        """How far the clocks of processes may have moved forward, in seconds."""
        return self.clock_set[1].total_seconds() + self._between_clocks

    def set_forward(self, since: datetime, until: datetime) -> timedelta:
        """How far the clocks of processes may have moved forward between two times, or differ."""
        sets = [
            event
            for event in self.plan.events
            if event.what == "has its clock set" and event.seconds > 0
        ]
        between = [
            event
            for event in sets
            if since <= self.plan.begins + timedelta(seconds=event.at) <= until
        ]
        return timedelta(seconds=sum(event.seconds for event in between) + self._between_clocks)

    @property
    def _between_clocks(self) -> float:
        starts = [start.ahead for start in self.plan.starts]
        return max(starts) - min(starts)


class Run:
    """One run, with the files of the ledgers, or the URLs of their databases, one for each home."""

    def __init__(self, plan: Plan, places: Sequence[str]) -> None:
        self._plan = plan
        self._world = World(
            plan.begins,
            seed=plan.seed,
            overlaps=not plan.has("many calls are due"),  # with so many, it would take minutes
            statement_seconds=plan.statement_seconds,
        )
        endings = {plain(task.description): task.ending for task in plan.tasks}
        endings |= {
            number: ending for task in plan.tasks for number, ending in task.endings.items()
        }
        self._service = SimulatedService(
            self._world, plan.quirks, plan.troubles, plan.look_troubles, endings, plan.seed
        )
        self._homes = [LedgerPlace(place, self._world) for place in places]
        self._sign_in = SignIn(ACCOUNT)
        self._processes: dict[int, Process] = {}
        self._evidence = Evidence(plan, self._service)
        self._events = 0

    async def evidence(self) -> Evidence:
        """Carry out the plan; returns what is known afterwards.

        A run that hangs is one of its errors.
        """
        for foreign in self._plan.foreign:
            self._service.add_foreign(ACCOUNT, _submission(self._plan), foreign.age, foreign.status)
        errors = _Errors(self._evidence.errors)
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(errors)
        try:
            async with anyio.create_task_group() as self._tasks:
                try:
                    await self._world.run(self._all())
                except HungError as error:
                    self._evidence.errors.append(str(error))
                for process in self._processes.values():
                    process.finish()
                with anyio.move_on_after(5) as ending:
                    for process in self._processes.values():
                        await process.ended.wait()
                if ending.cancelled_caught:
                    self._evidence.errors.append("a process did not end")
                self._tasks.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001 - whatever ends a process ends the run, and is to be reported
            self._evidence.errors.append("".join(traceback.format_exception(error)))
        finally:
            for name in _LOGGERS:
                logging.getLogger(name).removeHandler(errors)
        for home in self._homes:
            self._evidence.rows += home.rows(ACCOUNTS)
            self._evidence.lists += home.lists(ACCOUNTS)
            home.close()
        return self._evidence

    def _note(self, line: str) -> None:
        self._evidence.log.append(f"{self._world.elapsed:8.1f} {line}")

    async def _all(self) -> None:
        for number, start in enumerate(self._plan.starts):
            if start.at == 0:
                await self._start(number, start)
        async with anyio.create_task_group() as tasks:
            for number, start in enumerate(self._plan.starts):
                if start.at > 0:
                    tasks.start_soon(self._start_later, number, start)
            for event in self._plan.events:
                tasks.start_soon(self._happen, event)
            for ask in self._plan.asks:
                tasks.start_soon(self._ask, ask)
        await self._settle()

    async def _start(self, number: int, start: Start) -> None:
        home = self._homes[start.home]
        ahead = start.ahead + home.clock_set
        process = Process(
            f"process {number}",
            self._world,
            self._service,
            home,
            self._sign_in,
            self._plan,
            ahead,
            discloses=start.discloses,
        )
        await self._tasks.start(process.serve)
        process.at_step = {process.steps + step: what for step, what in start.at_step.items()}
        self._processes[number] = process
        self._note(f"{process.name} runs")

    async def _start_later(self, number: int, start: Start) -> None:
        await self._world.sleep(start.at)
        await self._start(number, start)

    async def _happen(self, event: Event) -> None:
        await self._world.sleep(event.at)
        process = self._processes.get(event.process, self._processes[0])
        home = process.place
        self._note(f"{process.name}: {event.what} {event.seconds or event.number or ''}")
        match event.what:
            case "is killed":
                await process.kill()
            case "is terminated":
                await process.terminate()
            case "is stopped" | "is suspended with its machine":
                process.stop(machine=event.what != "is stopped")
                await self._world.sleep(event.seconds)
                process.resume()
            case "has its clock set":
                home.clock_set += event.seconds
                for other in self._processes.values():  # those of one machine have one clock
                    other.clock.ahead += event.seconds if other.place is home else 0
            case "someone else signs in":
                self._change_account(OTHER_ACCOUNT)
            case "the user signs in again":
                self._change_account(ACCOUNT)
            case "the user signs out":
                self._sign_in.is_signed_in = False
            case "its ledger fails" | "its ledger fails to confirm":
                home.failure = "before" if event.what == "its ledger fails" else "after"
                await self._world.sleep(event.seconds)
                home.failure = None
            case "its ledger is deleted":
                home.delete()
            case "its user is deleted":
                with self._world.working():
                    await home.delete_user(ACCOUNT)
            case "its database ends all connections":
                home.end_connections()
            case "its ledger gets a newer record":
                home.add_newer_record(ACCOUNT)
            case "other programs call":
                for number in range(event.number):
                    submission = _submission(self._plan) | {
                        "respondent_phone": f"+1415556{number:04}"
                    }
                    self._service.add_foreign(ACCOUNT, submission, age=0)
            case "many calls are due":
                with self._world.working():
                    await home.add_due(ACCOUNT, event.number)

    def _change_account(self, account: str) -> None:
        self._sign_in.name = account
        self._sign_in.is_signed_in = True
        for use in self._evidence.uses:
            if use.answer is None:
                use.accounts.add(account)

    async def _ask(self, ask: Ask) -> None:
        await self._world.sleep(ask.at)
        process = await self._living(ask.process)
        arguments, tool = (
            dict(self._plan.tasks[ask.task].arguments),
            self._plan.tasks[ask.task].tool,
        )
        if ask.retyped:
            arguments["task_description"] = f"  {arguments['task_description'].upper()}. "
        if ask.redial:
            arguments["redial"] = True
        if not ask.waits:
            arguments["wait_seconds"] = 0
        if ask.confirms:
            asked = await self._use(process, tool, arguments, ask.task)
            if asked.answer is not None and asked.status == "needs_confirmation":
                arguments["confirmation"] = asked.answer.data["confirmation"]

        async def make_call() -> None:
            while True:
                current = await self._living(ask.process)
                use = await self._use(current, tool, arguments, ask.task, ask)
                if tool == "call_around":
                    await self._follow_list(use, arguments, ask)
                    return
                if use.status in ("in_progress", "unknown"):
                    await self._follow(current, use)
                    return
                if use.answer is not None or not ask.until_told:
                    return
                await self._world.sleep(1)

        async with anyio.create_task_group() as tasks:
            for _ in range(ask.times):
                tasks.start_soon(make_call)
            if ask.cancels_at is not None:
                tasks.start_soon(self._cancel, ask.cancels_at, ask)
            if ask.looks_at is not None:
                tasks.start_soon(self._look_at_newest, ask.looks_at, ask)

    async def _look_at_newest(self, at: float, ask: Ask) -> None:
        await self._world.sleep(at - self._world.elapsed)
        if placed := self._evidence.placed:
            await self._use(
                await self._living(ask.process), "get_call", {"call_id": placed[-1].call_id}
            )

    async def _cancel(self, at: float, ask: Ask) -> None:
        if ask.cancels_at_end_of is not None:
            while len(self._evidence.placed) < ask.cancels_at_end_of:
                if self._world.elapsed > _CALLED_WITHIN:
                    return
                await self._world.sleep(0.5)
            ends = self._evidence.placed[ask.cancels_at_end_of - 1].ends
            at += (ends - self._plan.begins).total_seconds()
        await self._world.sleep(at - self._world.elapsed)
        known = [
            use.answer.data.get("tracking_id") or use.answer.data.get("call_id")
            for use in self._evidence.uses
            if use.answer is not None and use.task in (None, ask.task)
        ]
        if id_ := next((id_ for id_ in known if id_), None):
            process = await self._living(
                ask.process if ask.canceled_by is None else ask.canceled_by
            )
            await self._use(process, "cancel_call", {"call_id": id_}, ask.task)

    async def _living(self, number: int) -> Process:
        """The process of this number, or else one that lives, of the same home first; a new one
        when none does.
        """
        wanted = self._processes.get(number) or self._processes[0]
        living = [process for process in self._processes.values() if not process.ended.is_set()]
        if not living:
            await self._start_anew(wanted.place)
            return await self._living(number)
        return (
            wanted
            if wanted in living
            else min(living, key=lambda process: process.place is not wanted.place)
        )

    async def _start_anew(self, home: LedgerPlace) -> None:
        """Start one more process of `home`, with the clock that the last one had."""
        ahead = [
            process.clock.ahead for process in self._processes.values() if process.place is home
        ][-1]
        start = Start(home=self._homes.index(home), ahead=ahead - home.clock_set)
        await self._start(len(self._plan.starts) + len(self._processes), start)

    async def _follow(self, process: Process, use: Use) -> None:
        if use.answer is not None and use.status == "in_progress":
            arguments = {"call_id": use.answer.data["tracking_id"], "wait_seconds": 1000}
            await self._use(process, "get_call", arguments)

    async def _follow_list(self, use: Use, arguments: dict[str, Any], ask: Ask) -> None:
        """Look at a list every half a minute, and let it go on after it has stopped where `ask`
        says so.
        """
        for _ in range(_LOOKS_AT_LIST):
            if use.answer is None or use.answer.is_error:
                return
            data = use.answer.data
            is_decided = use.status in ("needs_decision", "unknown") or ask.goes_on == "always"
            if use.status == "in_progress":
                await self._world.sleep(30)
                look = {"call_id": data["tracking_id"], "wait_seconds": 0}
                use = await self._use(await self._living(ask.process), "get_call", look)
            elif is_decided and ask.goes_on != "never" and data.get("calls") and data["not_called"]:
                last = data["calls"][-1]
                await self._world.sleep(ask.decides_after)
                further = arguments | {"continue_after": last.get("call_id") or last["tracking_id"]}
                further.pop("confirmation", None)  # it was for the list as it began
                use = await self._use(
                    await self._living(ask.process), "call_around", further, ask.task
                )
                if use.status != "in_progress":
                    return
            else:
                return

    async def _use(
        self,
        process: Process,
        tool: str,
        arguments: dict[str, Any],
        task: int | None = None,
        ask: Ask | None = None,
    ) -> Use:
        # A program that is stopped can't say how long a request has waited for it.
        await process.awake()
        account, asked_at = self._sign_in.name, self._world.now()
        use = Use(tool, process.name, task, dict(arguments), account, self._next(), asked_at)
        use.accounts.add(use.account)
        self._evidence.uses.append(use)
        extra = {k: v for k, v in arguments.items() if k in _NOTED}
        self._note(f"{process.name}: {tool} {'' if task is None else f'task {task}'} {extra}")
        calling, is_over = anyio.CancelScope(), anyio.Event()
        if ask is not None and not ask.reads and process is self._processes.get(ask.process):
            process.is_read = False  # else it is another client, which asks for the same again

        async def call() -> None:
            with calling:
                try:
                    answer = Answer(await process.client.call_tool(tool, arguments))
                except (MCPError, RuntimeError) as error:  # the second one: the client is closed
                    use.text = f"no answer: {error}"
                else:
                    if not process.is_read:
                        return
                    await process.read()
                    if not is_over.is_set():  # else the agent reads it no more
                        use.answer, use.text = answer, answer.text.replace("\n", " / ")
                        use.answered, use.answered_at = self._next(), self._world.now()
                is_over.set()

        async def give_up(
            after: Callable[[], Awaitable[object]], text: str, silently: bool
        ) -> None:
            await after()
            use.text, use.gave_up_silently = text, silently
            is_over.set()
            if not silently:
                calling.cancel()

        self._tasks.start_soon(call)
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(give_up, process.ended.wait, "the process ended", False)
            if ask is not None and ask.gives_up is not None:
                waiting.start_soon(
                    give_up, partial(self._world.sleep, ask.gives_up), "gave up", ask.silently
                )
            await is_over.wait()
            waiting.cancel_scope.cancel()
        self._note(f"{process.name}: {tool} -> {use.text[:300]}")
        return use

    def _next(self) -> int:
        self._events += 1
        return self._events

    async def _settle(self) -> None:
        """End all faults, wait until every record has its end, and look at every call once more."""
        self._service.stop_troubles()
        for home in self._homes:
            home.failure = None
        for process in self._processes.values():
            process.resume()
            process.at_step = {}
            if process.ended_at is not None:
                self._evidence.ended[process.name] = process.ended_at
        self._note("all faults end")
        for home in self._homes:
            if not any(p.place is home and not p.ended.is_set() for p in self._processes.values()):
                await self._start_anew(home)
        accounts = ACCOUNTS if self._plan.has("someone else signs in") else (ACCOUNT,)
        is_later = any(
            {"retries", "not_before"} & task.arguments.keys() for task in self._plan.tasks
        )
        self._sign_in.is_signed_in = True
        for account in accounts:
            self._sign_in.name = account
            until = self._world.elapsed + (_LATER_WITHIN if is_later else _SETTLED_WITHIN)
            while self._world.elapsed < until and self._has_active(account):
                await self._world.sleep(30)
            ends = [call.ends for call in self._evidence.placed]
            await self._world.sleep(
                max((end - self._world.now()).total_seconds() for end in [*ends, self._world.now()])
            )
            for home in self._homes:
                process = next(
                    p for p in self._processes.values() if p.place is home and not p.ended.is_set()
                )
                await self._look(process, home, account)

    async def _look(self, process: Process, home: LedgerPlace, account: str) -> None:
        tracking_ids = [row["tracking_id"] for row in home.rows((account,))]
        for id_ in tracking_ids + [
            call.call_id for call in self._evidence.placed if call.account == account
        ]:
            with suppress(MCPError):
                answer = await process.client.call_tool("get_call", {"call_id": id_})
                self._evidence.shown[id_] = answer.structured_content or {}

    def _has_active(self, account: str) -> bool:
        states = [row["state"] for home in self._homes for row in home.rows((account,))]
        goes_on = any(row["why"] is None for home in self._homes for row in home.lists((account,)))
        return goes_on or any(state in (*ACTIVE, "scheduled") for state in states)


class _Errors(logging.Handler):
    """Collects the exceptions that the program logs: none is expected."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._errors.append(logging.Formatter().format(record))


def _submission(plan: Plan) -> dict[str, Any]:
    """The submission of the first task, as another program may send it."""
    return {"respondent_phone": NUMBER} | dict(plan.tasks[0].arguments)


def run_places(folder: Path, plan: Plan) -> list[str]:
    """A file for the ledger of each home of `plan`."""
    homes = max(start.home for start in plan.starts) + 1
    paths = [folder / f"home-{home}" / "ledger.db" for home in range(homes)]
    return [str(path) for path in paths]
