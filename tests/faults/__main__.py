"""Runs the fault suite for as long as one likes, and prints what came of it.

    uv run python -m tests.faults --runs 1000 --seed 0
    uv run python -m tests.faults --workers --runs 100 --seed 0

The first line runs servers over stdio on one folder, the second pairs of workers over HTTP on one Redis.

Exits with 1 when a law was broken; each run that broke one is printed with the line that repeats it.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import get_args

import anyio

from kallyai_mcp.sandbox.faults import Kind
from tests.faults.oracle import Law
from tests.faults.plan import OF_WORKERS, Deed, Plan, plans
from tests.faults.trial import Tally, Verdict, run_all, run_over_workers
from tests.faults.worker_plan import worker_plans

_ENOUGH = 100
"""In so many runs everything should happen."""


def main() -> int:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="The fault suite, seed by seed.")
    parser.add_argument("--runs", type=int, default=1000, help="how many seeds (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--workers", action="store_true", help="two workers on one Redis, of which one dies")
    parser.add_argument("--jobs", type=int, help="how many at once (default: 16; pairs of workers: 8)")
    parser.add_argument("--verbose", action="store_true", help="print every run, not only what broke a law")
    given = parser.parse_args()
    if given.workers and shutil.which("redis-server") is None:
        parser.error("--workers needs a redis-server (Debian: apt-get install redis-server)")
    kind = WORKERS if given.workers else SERVERS
    began = time.monotonic()
    done = 0

    def seen(verdict: Verdict) -> None:
        nonlocal done
        done += 1
        if verdict.violations or given.verbose:
            print(f"{verdict.report()}\n", flush=True)
        if done % 50 == 0:
            print(f"{done} runs, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    tally = anyio.run(kind.run, kind.plans(given.seed, given.runs), given.jobs or kind.jobs, seen)
    print(table(tally))
    print(f"{time.monotonic() - began:.0f} s")
    missing = vain(tally, kind)
    for line in missing:
        print(line)
    return 1 if tally.broken or missing else 0


@dataclass(frozen=True)
class Suite:
    """One kind of runs.

    Attributes:
        plans: Its plans, from a seed on.
        run: Carries them out, so many at once, and tells of each.
        jobs: How many at once unless told otherwise.
        deeds: What the agent does in them.
    """

    plans: Callable[[int, int], Iterator[Plan]]
    run: Callable[[Iterable[Plan], int, Callable[[Verdict], object]], Awaitable[Tally]]
    jobs: int
    deeds: Collection[Deed]


SERVERS = Suite(plans, run_all, 16, [deed for deed in Deed if deed not in OF_WORKERS])
WORKERS = Suite(worker_plans, run_over_workers, 8, OF_WORKERS)


def vain(tally: Tally, suite: Suite = SERVERS) -> list[str]:
    """What a hundred runs or more should have had and did not, a line each: without it they prove little."""
    if tally.runs < _ENOUGH:
        return []
    never = [str(deed) for deed in suite.deeds if not tally.deeds[deed]]
    never += [kind for kind in get_args(Kind) if not tally.fired[kind]]
    return [f"no run had: {name}" for name in never]


def table(tally: Tally) -> str:
    """The figures, a line each."""
    lines = [("runs", tally.runs), ("calls placed", tally.placed), ("rows in the ledger", tally.rows)]
    lines += [(f"runs with: {law}", tally.broken[law]) for law in Law]
    lines += [("unknown in the end", tally.unknown)]
    lines += [(f"deed: {deed}", count) for deed, count in sorted(tally.deeds.items())]
    lines += [(f"a server ended at: {step}", count) for step, count in sorted(tally.killed_at.items())]
    lines += [(f"fired: {kind}", count) for kind, count in sorted(tally.fired.items())]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {count:6}" for name, count in lines)


if __name__ == "__main__":
    raise SystemExit(main())
