"""Runs the fault suite for as many seeds as asked, and prints the sums.

    uv run python -m tests.faults --runs 1000 --seed 0
    uv run python -m tests.faults --workers --runs 100 --seed 0
    uv run python -m tests.faults --simulated --runs 2000 --seed 0
    uv run python -m tests.faults --simulated --workers --runs 500 --seed 0
    uv run python -m tests.faults --simulated --later --runs 1000 --seed 0
    uv run python -m tests.faults --simulated --lists --runs 1000 --seed 0
    uv run python -m tests.faults --prove

The first command runs servers over stdio with the ledger in SQLite, the second two workers over HTTP with the ledger in
PostgreSQL. The next two do the same in one process with a simulated clock, so that accounts, clocks, lists, and
machines can change as well. The two after them do it for calls that are due later, and for lists of candidates. The
last one runs builds that are broken on purpose, and shows that the suite detects each.

Exits with 1 when a rule was violated; for each such run it prints a report and the command that repeats it.
"""

import argparse
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import get_args

import anyio

from kallyai_mcp.sandbox.faults import Kind
from tests.faults import stdio_broken
from tests.faults.checks import RULES
from tests.faults.plans import WORKER_ACTIONS, Action, Plan, plans
from tests.faults.runs import RunResult, Totals, run_all, run_with_workers
from tests.faults.simulation import prove
from tests.faults.simulation.many import simulate
from tests.faults.simulation.plan import Kind as SimulatedKind
from tests.faults.worker_plans import worker_plans
from tests.postgres_server import NO_SERVER, has_server

_ENOUGH = 100
"""So many runs should have everything in them."""


def main() -> int:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="The fault suite, seed by seed.")
    parser.add_argument("--runs", type=int, default=1000, help="how many seeds (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--workers", action="store_true", help="two workers with one database; one of them ends")
    parser.add_argument("--simulated", action="store_true", help="in one process with a simulated clock")
    parser.add_argument("--later", action="store_true", help="with --simulated: calls for later, and retries")
    parser.add_argument("--lists", action="store_true", help="with --simulated: lists of candidates")
    parser.add_argument("--prove", action="store_true", help="show that each broken build is detected")
    parser.add_argument("--jobs", type=int, help="how many at once (default: 16; workers: 8; simulated: 2)")
    parser.add_argument("--verbose", action="store_true", help="print every run, not only those that violated a rule")
    options = parser.parse_args()
    if options.workers and not has_server():
        parser.error(NO_SERVER)
    if options.prove:
        return max(prove.main(), stdio_broken.prove())
    if options.simulated:
        began = time.monotonic()
        kind: SimulatedKind = "lists" if options.lists else "later" if options.later else "calls"
        sums = simulate(options.seed, options.runs, jobs=options.jobs or 2, is_shared=options.workers, kind=kind)
        print(f"{sums.table()}\n{time.monotonic() - began:.0f} s")
        return 1 if sums.reports else 0
    suite = WORKERS if options.workers else SERVERS
    began = time.monotonic()
    done = 0

    def report(result: RunResult) -> None:
        nonlocal done
        done += 1
        if result.violations or options.verbose:
            print(f"{result.report()}\n", flush=True)
        if done % 50 == 0:
            print(f"{done} runs, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    totals = anyio.run(suite.run, suite.plans(options.seed, options.runs), options.jobs or suite.jobs, report)
    print(table(totals))
    print(f"{time.monotonic() - began:.0f} s")
    absent = missing(totals, suite)
    for line in absent:
        print(line)
    return 1 if totals.violated or absent else 0


@dataclass(frozen=True)
class Suite:
    """One kind of runs.

    Attributes:
        plans: Makes the plans, from the first seed and their number.
        run: Carries them out, so many at once, and reports each.
        jobs: How many at once by default.
        actions: What the client does in them.
    """

    plans: Callable[[int, int], Iterator[Plan]]
    run: Callable[[Iterable[Plan], int, Callable[[RunResult], object]], Awaitable[Totals]]
    jobs: int
    actions: Collection[Action]


SERVERS = Suite(plans, run_all, 16, [action for action in Action if action not in WORKER_ACTIONS])
WORKERS = Suite(worker_plans, run_with_workers, 8, WORKER_ACTIONS)


def missing(totals: Totals, suite: Suite = SERVERS) -> list[str]:
    """A line for each action and each kind of fault that no run had, if there were enough runs to have all of them."""
    if totals.runs < _ENOUGH:
        return []
    never = [str(action) for action in suite.actions if not totals.actions[action]]
    never += [kind for kind in get_args(Kind) if not totals.fired[kind]]
    return [f"no run had: {name}" for name in never]


def table(totals: Totals) -> str:
    """The sums, one a line."""
    lines = [("runs", totals.runs), ("calls placed", totals.placed), ("rows in the ledger", totals.rows)]
    lines += [(f"runs with: {rule}", totals.violated[rule]) for rule in RULES]
    lines += [("unknown at the end", totals.unknown)]
    lines += [(f"the client {action}", count) for action, count in sorted(totals.actions.items())]
    lines += [(f"a server ended at: {step}", count) for step, count in sorted(totals.ended_at_steps.items())]
    lines += [(f"fault: {kind}", count) for kind, count in sorted(totals.fired.items())]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {count:6}" for name, count in lines)


if __name__ == "__main__":
    raise SystemExit(main())
