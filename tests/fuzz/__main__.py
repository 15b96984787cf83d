"""Checks tools on random arguments, and the sandbox on random requests.

    uv run python -m tests.fuzz --examples 1000 --seed 0
    uv run python -m tests.fuzz --only agent --examples 10000 --seed 1

`agent`: a tool answers any arguments with a clear error or the call that was asked for. `service` runs schemathesis on
the sandbox and its OpenAPI document; uv installs it the first time. Exits with 1 when something is wrong, after the
smallest example that shows it.
"""

import argparse
from functools import partial

import anyio

from tests.fuzz.openapi import run_schemathesis
from tests.fuzz.tool_checks import check_examples


def main() -> int:
    """Run, and print the sums."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="The fuzz suite.")
    parser.add_argument("--examples", type=int, default=300, help="examples (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the random examples (default: 0)")
    parser.add_argument("--only", choices=["agent", "service"], action="append", help="a part; may be repeated")
    parser.add_argument("--seconds", type=int, default=60, help="time limit of schemathesis in seconds (default: 60)")
    options = parser.parse_args()
    parts, passed = options.only or ["agent", "service"], True
    if "agent" in parts:
        for result, count in sorted(check_examples(options.examples, options.seed).items()):
            print(f"  {count:6} {result}")
    if "service" in parts:
        for is_in in (True, False):
            run = partial(run_schemathesis, min(options.examples, 100), options.seed, options.seconds)
            passed &= anyio.run(partial(run, signed_in=is_in))
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
