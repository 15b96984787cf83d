"""Runs plans and judges them: one, or many at once."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import anyio
from mcp.shared.exceptions import MCPError

from tests.faults.agent import Agent
from tests.faults.deeds import act
from tests.faults.folder import Folder
from tests.faults.oracle import Evidence, Law, Violation, judge, settled
from tests.faults.plan import DEADLY, Plan, Step
from tests.faults.shift import Shift
from tests.faults.workers import Workers
from tests.faults.world import ServerFailed, World

RUN_SECONDS = 240.0
"""After how long a run counts as hung; the longest ones take a minute on a machine that is not overloaded."""

_STARTING = 2
_SHIFTS = 10  # how many runs two workers do before they are replaced


@dataclass(frozen=True)
class Verdict:
    """A run, and what it has broken."""

    evidence: Evidence
    violations: list[Violation]

    def report(self) -> str:
        """Everything that a person needs to understand it and to repeat it."""
        return self.evidence.report(self.violations)


@dataclass
class Tally:
    """What many runs came to."""

    runs: int = 0
    placed: int = 0
    rows: int = 0
    unknown: int = 0
    broken: Counter[Law] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    killed_at: Counter[Step] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        """Count one more run."""
        evidence = verdict.evidence
        self.runs += 1
        self.placed += len(evidence.placed)
        self.rows += len(evidence.rows)
        self.unknown += evidence.unknown
        self.broken.update({violation.law for violation in verdict.violations})
        self.fired.update(evidence.fired)
        self.killed_at.update(evidence.killed_at)
        self.deeds[evidence.plan.deed] += 1


async def run(world: World) -> Verdict:
    """Carry the plan of this world out, and judge what came of it."""
    plan = world.plan
    evidence = Evidence(plan, world.token)
    failed: list[str] = []
    async with world:
        agent = Agent(plan, world)
        try:
            with anyio.fail_after(RUN_SECONDS):
                last = await act(agent)
                evidence = await settled(world, agent, last)
        except TimeoutError:
            failed.append(f"the run was not over after {RUN_SECONDS:g} s")
        except ServerFailed as error:
            failed.append(str(error))
        except MCPError as error:
            failed.append(f"the last server has gone: {error}")
        evidence.placed = await world.placed()
        evidence.rows = await world.rows()
    evidence.asks, evidence.log = agent.asks, world.log
    evidence.stderr = world.stderr()
    evidence.failed = failed + [f"{name} did not end when it was told to leave" for name in world.hung]
    return Verdict(evidence, judge(evidence))


def _batched(plans: Iterable[Plan], size: int) -> Iterator[list[Plan]]:
    """The plans, `size` at a time."""
    left = iter(plans)
    while batch := list(islice(left, size)):
        yield batch


async def run_all(plans: Iterable[Plan], jobs: int, seen: Callable[[Verdict], object]) -> Tally:
    """Carry many plans out, `jobs` of them at once; `seen` is told of each as it ends.

    Within each `jobs` of them those that last longest begin first, so that nobody waits for a late one alone.
    """
    tally = Tally()
    starting, slots = anyio.CapacityLimiter(_STARTING), anyio.CapacityLimiter(jobs)

    async def one(plan: Plan) -> None:
        async with slots:
            with tempfile.TemporaryDirectory(prefix="faults-") as folder:
                verdict = await run(Folder(plan, Path(folder), starting))
        tally.add(verdict)
        seen(verdict)

    async with anyio.create_task_group() as tasks:
        for together in _batched(plans, jobs):
            for plan in sorted(together, key=lambda plan: plan.deed not in DEADLY):
                tasks.start_soon(one, plan)
    return tally


async def run_over_workers(plans: Iterable[Plan], jobs: int, seen: Callable[[Verdict], object]) -> Tally:
    """Carry many plans out at pairs of workers, `jobs` pairs at once; `seen` is told of each as it ends."""
    tally = Tally()
    starting, left = anyio.CapacityLimiter(_STARTING), iter(plans)

    async def one_pair() -> None:
        for plan in left:
            with tempfile.TemporaryDirectory(prefix="faults-") as folder:
                async with Workers(Path(folder), starting) as workers:
                    await some_shifts(workers, chain([plan], islice(left, _SHIFTS - 1)))

    async def some_shifts(workers: Workers, mine: Iterable[Plan]) -> None:
        for plan in mine:
            verdict = await run(Shift(plan, workers))
            tally.add(verdict)
            seen(verdict)
            if verdict.violations:  # what it has left behind is not to be the next one's trouble
                return

    async with anyio.create_task_group() as tasks:
        for _ in range(jobs):
            tasks.start_soon(one_pair)
    return tally
