"""Holds the server, its client and the sandbox to their laws for as long as one likes, and prints what came of it.

    uv run python -m tests.fuzz --examples 1000 --seed 0
    uv run python -m tests.fuzz --only agent --examples 10000 --seed 1

The last part, `service`, has schemathesis try the sandbox against its OpenAPI document; uv fetches it when first asked.
Exits with 1 when a law was broken; the smallest case that breaks it is printed.
"""

import argparse
import time
import traceback

from tests.fuzz.documented import run_schemathesis
from tests.fuzz.laws import LAWS, Law, held


def main() -> int:
    """Run, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="The fuzz suite.")
    parser.add_argument("--examples", type=int, default=300, help="how many of each law (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: 0)")
    parser.add_argument("--only", choices=[*LAWS, "service"], action="append", help="this part alone; may be repeated")
    parser.add_argument("--seconds", type=int, default=60, help="at most, for each run of schemathesis (default: 60)")
    given = parser.parse_args()
    parts = given.only or [*LAWS, "service"]
    passed = [_lawful(LAWS[name], given.examples, given.seed) for name in parts if name in LAWS]
    if "service" in parts:
        passed.append(_documented(min(given.examples, 100), given.seed, given.seconds))
    return 0 if all(passed) else 1


def _lawful(law: Law, examples: int, seed: int) -> bool:
    outcome = held(law, examples, seed)
    print(f"{law.says}: {outcome.examples} examples, {outcome.seconds:.0f} s, {'BROKEN' if outcome.breach else 'held'}")
    for what, count in sorted(outcome.tally.items()):
        print(f"  {count:6} {what}")
    if outcome.breach is not None:
        print("".join(traceback.format_exception(outcome.breach, limit=-3))[:6000])
    return outcome.breach is None


def _documented(examples: int, seed: int, seconds: int) -> bool:
    passed = True
    for signed_in in (True, False):
        began = time.monotonic()
        run = run_schemathesis(signed_in, examples, seed, seconds)
        print(
            f"The sandbox answers as its OpenAPI document says, {'signed in' if signed_in else 'not signed in'}: "
            f"{run.requests} requests, {time.monotonic() - began:.0f} s, {'held' if run.passed else 'BROKEN'}"
        )
        for status, count in sorted(run.statuses.items()):
            print(f"  {count:6} {status}")
        if not run.passed:
            print(run.report)
        passed = passed and run.passed
    return passed


if __name__ == "__main__":
    raise SystemExit(main())
