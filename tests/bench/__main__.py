"""Runs all measurements one after another, and prints their figures as one Markdown table.

    uv run python -m tests.bench [--smoke]

It takes about ten minutes; nothing else should run on the machine. With `--smoke`, each is as short
as it can be, to see that it still works. The exit code is the number of measurements that failed,
which a missed goal is not.
"""

import os
import subprocess
import sys

from tests.bench.table import HEAD, machine

MEASUREMENTS = ("over_stdio", "over_http", "placing", "many_calls", "ledger", "costs", "at_rest")
"""Each is also a command, `python -m tests.bench.NAME [--smoke]`."""


def main() -> int:
    """Run them; each runs in a process of its own, so that none is affected by the memory of
    another.
    """
    print(f"{machine()}\n\n{HEAD}", flush=True)
    # The servers are measured as they are installed: with bytecode.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    commands = {
        name: [sys.executable, "-m", f"tests.bench.{name}", *sys.argv[1:]] for name in MEASUREMENTS
    }
    failed = [
        name
        for name, command in commands.items()
        if subprocess.run(command, env=env, check=False).returncode
    ]
    print(f"\n{', '.join(failed) or 'nothing'} failed")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
