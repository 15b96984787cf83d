"""Runs all measurements one after another, and prints them as one table.

    uv run python -m tests.bench

It takes about five minutes; nothing else should run on the machine. The exit code is 1 if a measurement failed, but not
if a target was missed.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from tests.bench.table import ROWS, Row, machine, render

MEASUREMENTS = (
    "cold_start",
    "warm",
    "over_http",
    "placing",
    "many_calls",
    "many_calls --transport http",
    "many_calls --transport sse",
    "ledger --records 1000 100000",
    "costs",
    "sandbox_calls",
)
"""The measurements; each is also a command, `python -m tests.bench.NAME`."""

LIMIT = 180
"""Seconds after which a measurement counts as hung."""

_END_SECONDS = 20


def run(measurement: str) -> list[Row]:
    """Run one measurement in a process of its own, so that none is affected by the memory of another.

    Raises:
        RuntimeError: It failed; its own message is on stderr.
    """
    name, *options = measurement.split()
    with subprocess.Popen(
        [sys.executable, "-m", f"tests.bench.{name}", *options, "--json"], stdout=subprocess.PIPE
    ) as process:
        try:
            printed, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            _end(process)
            raise RuntimeError(f"it hung for {LIMIT} s") from None
    if process.returncode:
        raise RuntimeError(f"it failed with exit code {process.returncode}")
    try:
        return ROWS.validate_json(printed)
    except ValidationError as error:
        raise RuntimeError(f"it did not print rows: {error}") from error


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it with SIGINT (not on Windows), so that it ends the servers that it started."""
    process.terminate() if sys.platform == "win32" else process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def main(measurements: Sequence[str] = MEASUREMENTS) -> int:
    """Run them and print the table; the exit code is 1 if one failed."""
    print(machine(), end="\n\n", flush=True)
    rows: dict[str, list[Row]] = {}
    failed = False
    for number, measurement in enumerate(measurements, start=1):
        print(f"{number}/{len(measurements)} {measurement}", file=sys.stderr, flush=True)
        try:
            rows[measurement] = run(measurement)
        except RuntimeError as error:
            failed = True
            rows[measurement] = [Row("everything", None, "", reason=str(error))]
    print(render(rows))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
