"""Every measurement, one after another, and one table of them: `uv run python -m tests.bench`.

It takes less than four minutes, and is to be run on a machine that has nothing else to do. The exit code is 1 if a
measurement failed; a target that is missed is only said.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from tests.bench.table import ROWS, Row, machine, rendered

MEASUREMENTS = (
    "cold_start",
    "warm",
    "over_http",
    "many_calls",
    "many_calls --transport http",
    "many_calls --transport sse",
    "costs",
    "sandbox_calls",
)
"""Each is a command: `python -m tests.bench.` and this."""

LIMIT = 180
"""Seconds after which a measurement counts as hung."""

_ENDING = 20


def measured(measurement: str) -> list[Row]:
    """The rows of one measurement, made by a process of its own, so that none has another's leftovers in memory.

    Raises:
        RuntimeError: It failed; what it said is on stderr.
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
        raise RuntimeError(f"it printed something else than rows: {error}") from error


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it as Ctrl-C does where that can be done, so that it ends the servers that it started."""
    process.terminate() if sys.platform == "win32" else process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_ENDING)
    except subprocess.TimeoutExpired:
        process.kill()


def main(measurements: Sequence[str] = MEASUREMENTS) -> int:
    """Run them and print the table; the exit code is 1 if one failed."""
    print(machine(), end="\n\n", flush=True)
    found: dict[str, list[Row]] = {}
    failed = False
    for number, measurement in enumerate(measurements, start=1):
        print(f"{number}/{len(measurements)} {measurement}", file=sys.stderr, flush=True)
        try:
            found[measurement] = measured(measurement)
        except RuntimeError as error:
            failed = True
            found[measurement] = [Row("all of it", None, "", lacking=str(error))]
    print(rendered(found))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
