"""Checks properties of the server, its API client, and the sandbox with as many examples as asked.

    uv run python -m tests.fuzz --examples 1000 --seed 0
    uv run python -m tests.fuzz --only agent --examples 10000 --seed 1

The part `calls` plays users, clients, clocks, and dying processes in any order, on SQLite and, where there is a server,
on PostgreSQL. The last part, `service`, runs schemathesis on the sandbox and its OpenAPI document; uv installs it the
first time.
Exits with 1 when a property does not hold, and prints the smallest example that shows it.
"""

import argparse
import tempfile
import time
import traceback
from pathlib import Path

from tests.calls.test_state_machine import check
from tests.faults.memory import fast_folder
from tests.fuzz.openapi import run_schemathesis
from tests.fuzz.properties import PROPERTIES, Property, check_property
from tests.postgres_server import PostgresServer, has_server

CALLS_SHARE = 0.3
"""The share of the requested number of examples that `calls` has: each has 40 events."""

POSTGRES_SHARE = 0.05
"""The same on PostgreSQL."""


def main() -> int:
    """Run, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="The fuzz suite.")
    parser.add_argument("--examples", type=int, default=300, help="examples for each property (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the random examples (default: 0)")
    parser.add_argument(
        "--only", choices=[*PROPERTIES, "calls", "service"], action="append", help="a part; may be repeated"
    )
    parser.add_argument("--seconds", type=int, default=60, help="time limit of schemathesis in seconds (default: 60)")
    options = parser.parse_args()
    parts = options.only or [*PROPERTIES, "calls", "service"]
    passed = [_check(PROPERTIES[name], options.examples, options.seed) for name in parts if name in PROPERTIES]
    if "calls" in parts:
        passed.append(_check_calls(options.examples, options.seed))
    if "service" in parts:
        passed.append(_check_sandbox(min(options.examples, 100), options.seed, options.seconds))
    return 0 if all(passed) else 1


def _check(checked: Property, examples: int, seed: int) -> bool:
    outcome = check_property(checked, examples, seed)
    verdict = "FAILED" if outcome.failure else "passed"
    print(f"{checked.statement}: {outcome.examples} examples, {outcome.seconds:.0f} s, {verdict}")
    for result, count in sorted(outcome.results.items()):
        print(f"  {count:6} {result}")
    if outcome.failure is not None:
        print("".join(traceback.format_exception(outcome.failure, limit=-3))[:6000])
    return outcome.failure is None


def _check_calls(examples: int, seed: int) -> bool:
    with tempfile.TemporaryDirectory(dir=fast_folder()) as folder:
        passed = _check_calls_at(str(Path(folder) / "ledger.db"), "SQLite", int(examples * CALLS_SHARE), seed)
    if has_server():
        with PostgresServer(folder=fast_folder()) as server:
            passed &= _check_calls_at(server.create_database(), "PostgreSQL", int(examples * POSTGRES_SHARE), seed)
    return passed


def _check_calls_at(place: str, name: str, examples: int, seed: int) -> bool:
    began = time.monotonic()
    failure: Exception | None = None
    try:
        check(place, examples=max(examples, 1), steps=40, first=seed)
    except Exception as error:  # noqa: BLE001 - whatever the example raised is printed
        failure = error
    print(
        f"Calls are placed at most once in any order of events on {name}: {examples} examples, "
        f"{time.monotonic() - began:.0f} s, {'FAILED' if failure else 'passed'}"
    )
    if failure is not None:
        print("".join(traceback.format_exception(failure, limit=-3))[:6000])
    return failure is None


def _check_sandbox(examples: int, seed: int, seconds: int) -> bool:
    passed = True
    for signed_in in (True, False):
        began = time.monotonic()
        run = run_schemathesis(signed_in, examples, seed, seconds)
        print(
            f"The sandbox answers as its OpenAPI document says, {'signed in' if signed_in else 'not signed in'}: "
            f"{run.requests} requests, {time.monotonic() - began:.0f} s, {'passed' if run.passed else 'FAILED'}"
        )
        for status, count in sorted(run.statuses.items()):
            print(f"  {count:6} {status}")
        if not run.passed:
            print(run.report)
        passed = passed and run.passed
    return passed


if __name__ == "__main__":
    raise SystemExit(main())
