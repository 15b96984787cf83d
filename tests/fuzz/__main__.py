"""Checks properties of the server, its API client, and the sandbox with as many examples as asked.

    uv run python -m tests.fuzz --examples 1000 --seed 0
    uv run python -m tests.fuzz --only agent --examples 10000 --seed 1

The last part, `service`, runs schemathesis on the sandbox and its OpenAPI document; uv installs it the first time.
Exits with 1 when a property does not hold, and prints the smallest example that shows it.
"""

import argparse
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial

import anyio

from tests.fuzz.openapi import run_schemathesis
from tests.fuzz.properties import PROPERTIES, check_property


def main() -> int:
    """Run, and print the sums."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="The fuzz suite.")
    parser.add_argument("--examples", type=int, default=300, help="examples for each property (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the random examples (default: 0)")
    names = [*PROPERTIES, "service"]
    parser.add_argument("--only", choices=names, action="append", help="a part; may be repeated")
    parser.add_argument("--seconds", type=int, default=60, help="time limit of schemathesis in seconds (default: 60)")
    options = parser.parse_args()
    passed = True
    for name in options.only or names:
        if name in PROPERTIES:
            search = partial(check_property, PROPERTIES[name], options.examples, options.seed)
            passed &= _passes(PROPERTIES[name].statement, search)
        else:
            for is_in in (True, False):
                run = partial(run_schemathesis, min(options.examples, 100), options.seed, options.seconds)
                passed &= anyio.run(partial(run, signed_in=is_in))
    return 0 if passed else 1


def _passes(statement: str, search: Callable[[], Counter[str] | None]) -> bool:
    """Search for an example that shows that `statement` is wrong, and print what came of it."""
    began, failure = time.monotonic(), ""
    results: Counter[str] | None = None
    try:
        results = search()
    except Exception as error:  # noqa: BLE001 - whatever the example raised is printed
        failure = "".join(traceback.format_exception(error, limit=-3))[:6000]
    print(f"{statement}: {'FAILED' if failure else 'passed'}, {time.monotonic() - began:.0f} s\n{failure}")
    for result, count in sorted((results or {}).items()):
        print(f"  {count:6} {result}")
    return not failure


if __name__ == "__main__":
    raise SystemExit(main())
