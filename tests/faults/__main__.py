"""Runs the fault suite for as long as one likes, and prints what came of it.

    uv run python -m tests.faults --runs 1000 --seed 0

Exits with 1 when a law was broken; each run that broke one is printed with the line that repeats it.
"""

import argparse
import sys
import time
from typing import get_args

import anyio

from kallyai_mcp.sandbox.faults import Kind
from tests.faults.oracle import Law
from tests.faults.plan import Deed, plans
from tests.faults.trial import Tally, Verdict, run_all

_ENOUGH = 100
"""In so many runs everything should happen."""


def main() -> int:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="The fault suite, seed by seed.")
    parser.add_argument("--runs", type=int, default=1000, help="how many seeds (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--jobs", type=int, default=16, help="how many at once (default: 16)")
    parser.add_argument("--verbose", action="store_true", help="print every run, not only what broke a law")
    given = parser.parse_args()
    began = time.monotonic()
    done = 0

    def seen(verdict: Verdict) -> None:
        nonlocal done
        done += 1
        if verdict.violations or given.verbose:
            print(f"{verdict.report()}\n", flush=True)
        if done % 50 == 0:
            print(f"{done} runs, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    tally = anyio.run(run_all, plans(given.seed, given.runs), given.jobs, seen)
    print(table(tally))
    print(f"{time.monotonic() - began:.0f} s")
    missing = vain(tally)
    for line in missing:
        print(line)
    return 1 if tally.broken or missing else 0


def vain(tally: Tally) -> list[str]:
    """What a hundred runs or more should have had and did not, a line each: without it they prove little."""
    if tally.runs < _ENOUGH:
        return []
    never = [str(deed) for deed in Deed if not tally.deeds[deed]]
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
