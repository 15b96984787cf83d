"""Runs the fault suite for as many seeds as asked, and prints the sums.

    uv run python -m tests.faults --simulated --runs 2000 --seed 0
    uv run python -m tests.faults --simulated --workers --runs 500 --seed 0
    uv run python -m tests.faults --simulated --later --runs 1000 --seed 0
    uv run python -m tests.faults --simulated --lists --runs 1000 --seed 0
    uv run python -m tests.faults --prove

The simulation runs in one process with a simulated clock, with the ledger in SQLite, or in
PostgreSQL for two workers; also for calls that are due later, and for lists of candidates. The
transactions of two workers overlap there, statement by statement. `--prove` runs builds that are
broken on purpose, and shows that each is detected.

Exits with 1 when a rule was violated; for each such run it prints a report.
"""

import argparse
import time

from tests.faults import stdio_broken
from tests.faults.simulation import prove
from tests.faults.simulation.many import simulate
from tests.faults.simulation.plan import Kind
from tests.postgres_server import NO_SERVER, has_server


def main() -> int:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description="The fault suite, seed by seed."
    )
    parser.add_argument("--runs", type=int, default=100, help="how many seeds (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument(
        "--workers", action="store_true", help="two workers with one database; one of them ends"
    )
    parser.add_argument("--simulated", action="store_true", help="simulate calls; the default")
    parser.add_argument("--later", action="store_true", help="calls for later, and retries")
    parser.add_argument("--lists", action="store_true", help="lists of candidates")
    parser.add_argument(
        "--prove", action="store_true", help="show that each broken build is detected"
    )
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default: 2)")
    options = parser.parse_args()
    if (options.workers or options.prove) and not has_server():
        parser.error(NO_SERVER)
    if options.prove:
        return max(prove.main(), stdio_broken.prove())
    began = time.monotonic()
    kind: Kind = "lists" if options.lists else "later" if options.later else "calls"
    sums = simulate(
        options.seed, options.runs, jobs=options.jobs, is_shared=options.workers, kind=kind
    )
    print(f"{sums.table()}\n{time.monotonic() - began:.0f} s")
    return 1 if sums.reports else 0


if __name__ == "__main__":
    raise SystemExit(main())
