"""Carries out plans and checks what came of them: one, or many at once."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import anyio
from mcp.shared.exceptions import MCPError

from tests.faults.agent import Agent
from tests.faults.checks import Evidence, find_violations, settle
from tests.faults.client_actions import act
from tests.faults.plans import ENDING_ACTIONS, Plan, Step
from tests.faults.stdio_system import StdioSystem
from tests.faults.system import ServerFailedError, System
from tests.faults.two_workers import TwoWorkersSystem
from tests.faults.violations import Rule, Violation
from tests.faults.worker_pair import WorkerPair

RUN_SECONDS = 240.0
"""Seconds after which a run counts as hung; on a machine that is not overloaded the longest take a minute."""

_STARTING = 2  # servers that start at the same time
_RUNS_PER_PAIR = 10  # runs that two workers serve before they are replaced


@dataclass(frozen=True)
class RunResult:
    """A run, and its violations of the rules."""

    evidence: Evidence
    violations: list[Violation]

    def report(self) -> str:
        """All that a developer needs to understand the run and to repeat it."""
        return self.evidence.report(self.violations)


@dataclass
class Totals:
    """The sums over many runs."""

    runs: int = 0
    placed: int = 0
    rows: int = 0
    unknown: int = 0
    violated: Counter[Rule] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    ended_at_steps: Counter[Step] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)

    def add(self, result: RunResult) -> None:
        """Count one more run."""
        evidence = result.evidence
        self.runs += 1
        self.placed += len(evidence.placed)
        self.rows += len(evidence.rows)
        self.unknown += evidence.unknown
        self.violated.update({violation.rule for violation in result.violations})
        self.fired.update(evidence.fired)
        self.ended_at_steps.update(evidence.ended_at_steps)
        self.actions[evidence.plan.action] += 1


async def run(system: System) -> RunResult:
    """Carry out the plan of this system, and check what came of it."""
    plan = system.plan
    evidence = Evidence(plan, system.token)
    failed: list[str] = []
    async with system:
        agent = Agent(plan, system)
        try:
            with anyio.fail_after(RUN_SECONDS):
                last = await act(agent)
                evidence = await settle(system, agent, last)
        except TimeoutError:
            failed.append(f"the run did not end within {RUN_SECONDS:g} s")
        except ServerFailedError as error:
            failed.append(str(error))
        except MCPError as error:
            failed.append(f"the last server ended: {error}")
        evidence.placed = await system.placed()
        evidence.rows = await system.rows()
    evidence.uses, evidence.log = agent.uses, system.log
    evidence.stderr = system.stderr()
    evidence.failed = failed + [f"{name} did not end when it was told to" for name in system.hung]
    return RunResult(evidence, find_violations(evidence))


def _batched(plans: Iterable[Plan], size: int) -> Iterator[list[Plan]]:
    """The plans, `size` at a time."""
    left = iter(plans)
    while batch := list(islice(left, size)):
        yield batch


async def run_all(plans: Iterable[Plan], jobs: int, report: Callable[[RunResult], object]) -> Totals:
    """Carry out many plans with servers over stdio.

    Args:
        plans: The plans. In each batch of `jobs` the longest begin first, so that none is waited for alone.
        jobs: How many at once.
        report: Called with each result when its run ends.
    """
    totals = Totals()
    starting, slots = anyio.CapacityLimiter(_STARTING), anyio.CapacityLimiter(jobs)

    async def run_one(plan: Plan) -> None:
        async with slots:
            with tempfile.TemporaryDirectory(prefix="faults-") as folder:
                result = await run(StdioSystem(plan, Path(folder), starting))
        totals.add(result)
        report(result)

    async with anyio.create_task_group() as tasks:
        for batch in _batched(plans, jobs):
            for plan in sorted(batch, key=lambda plan: plan.action not in ENDING_ACTIONS):
                tasks.start_soon(run_one, plan)
    return totals


async def run_with_workers(plans: Iterable[Plan], jobs: int, report: Callable[[RunResult], object]) -> Totals:
    """Carry out many plans with pairs of workers over HTTP, each on a PostgreSQL server of its own.

    Args:
        plans: The plans.
        jobs: How many pairs at once.
        report: Called with each result when its run ends.
    """
    totals = Totals()
    starting, left = anyio.CapacityLimiter(_STARTING), iter(plans)

    async def run_pairs() -> None:
        for plan in left:
            with tempfile.TemporaryDirectory(prefix="faults-") as folder:
                async with WorkerPair(Path(folder), starting) as workers:
                    await run_several(workers, chain([plan], islice(left, _RUNS_PER_PAIR - 1)))

    async def run_several(workers: WorkerPair, mine: Iterable[Plan]) -> None:
        for plan in mine:
            result = await run(TwoWorkersSystem(plan, workers))
            totals.add(result)
            report(result)
            if result.violations:  # the next run must not suffer from what this one left behind
                return

    async with anyio.create_task_group() as tasks:
        for _ in range(jobs):
            tasks.start_soon(run_pairs)
    return totals
