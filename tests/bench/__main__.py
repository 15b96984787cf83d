"""Runs all measurements one after another, and prints their figures as one Markdown table.

    uv run python -m tests.bench
    uv run python -m tests.bench --smoke

It takes about seven minutes; nothing else should run on the machine. With `--smoke`, each is as short as it can be, to
see that it still works. The exit code is 1 if a measurement failed, but not if a goal was missed.
"""

import os
import subprocess
import sys

from tests.bench.table import HEAD, machine

MEASUREMENTS = {
    "over_stdio": "--starts 1 --calls 2 --rounds 1",
    "over_http": "--seconds 0.05 --rounds 1",
    "placing": "--seconds 0.05 --rounds 1",
    "many_calls": "--calls 1",
    "many_calls --transport http": "--calls 1",
    "ledger": "--records 1000 --rounds 2",
    "costs": "",
}
"""Each is also a command, `python -m tests.bench.NAME`; with the options that make it short."""


def main() -> int:
    """Run them; each runs in a process of its own, so that none is affected by the memory of another."""
    is_smoke = sys.argv[1:] == ["--smoke"]
    print(f"{machine()}\n\n{HEAD}", flush=True)
    # The servers are measured as they are installed: with bytecode.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    failed = []
    for name, short in MEASUREMENTS.items():
        command = [sys.executable, "-m", *f"tests.bench.{name} {short if is_smoke else ''}".split()]
        if subprocess.run(command, env=env, check=False).returncode:
            failed.append(name)
    print(f"\n{', '.join(failed) or 'nothing'} failed")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
