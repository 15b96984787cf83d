"""Runs the suite under shifted clocks and in other time zones, so that no test and no answer depends on the hour.

    uv run python -m tests.clocks            a share of the suite at each moment
    uv run python -m tests.clocks --whole    the whole suite at each moment (about a quarter of an hour a moment)

Needs libfaketime (Debian: apt-get install libfaketime). The clock is shifted by an offset, so every process that a test
starts has the same time. Exits with 1 when a run failed; its output is printed with the line that repeats it.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)

SHARE = (
    "tests/auth/test_auth_tokens.py",
    "tests/cli/test_sandbox_command.py::test_the_demo_does_the_main_job_and_exits_with_0",
    "tests/cli/test_status.py::test_it_shows_the_quota_as_a_bar_the_calls_under_way_and_the_last_five",
    "tests/calls/test_policy.py",
    "tests/sandbox/test_quota.py",
)
"""Tests that read the machine's clock; few, since a shifted clock makes Python several times slower."""

SECONDS = 3600
"""How long one run may take before it counts as hung."""

_LEAD = timedelta(seconds=8)
"""How long before a change of the clock a run starts, so that the change happens while it runs."""


@dataclass(frozen=True)
class Moment:
    """A time at which the suite runs.

    Attributes:
        name: For the table.
        starts: When the run starts, by the shifted clock.
        zone: The value of TZ.
    """

    name: str
    starts: datetime
    zone: str = "UTC"


def moments(now: datetime) -> list[Moment]:
    """The times to try.

    Args:
        now: The present moment, aware.
    """
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    month_end = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    new_year = day.replace(year=day.year + 1, month=1, day=1)
    return [
        Moment("03:30 UTC", day + timedelta(hours=3, minutes=30)),
        Moment("09:30 UTC", day + timedelta(hours=9, minutes=30), "Asia/Kolkata"),
        Moment("15:30 UTC", day + timedelta(hours=15, minutes=30), "America/New_York"),
        Moment("21:30 UTC", day + timedelta(hours=21, minutes=30), "Pacific/Auckland"),
        Moment("midnight", day + timedelta(days=1) - _LEAD),
        Moment("a month ends", month_end - _LEAD),
        Moment("a year ends", new_year - _LEAD),
        Moment("February 29", datetime(2028, 2, 29, 12, tzinfo=UTC), "Europe/Madrid"),
        Moment("New York to summer", datetime(2027, 3, 14, 7, tzinfo=UTC) - _LEAD, "America/New_York"),
        Moment("New York to winter", datetime(2027, 11, 7, 6, tzinfo=UTC) - _LEAD, "America/New_York"),
        Moment("Madrid to summer", datetime(2027, 3, 28, 1, tzinfo=UTC) - _LEAD, "Europe/Madrid"),
        Moment("Madrid to winter", datetime(2027, 10, 31, 1, tzinfo=UTC) - _LEAD, "Europe/Madrid"),
    ]


def main() -> int:
    """Run the suite at each moment, print a row for each, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.clocks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--whole", action="store_true", help="run the whole suite, not a share of it")
    parser.add_argument("--only", metavar="NAME", help="only the moment of this name")
    parser.add_argument("--jobs", type=int, default=2, help="how many moments at once (default: 2)")
    given = parser.parse_args()
    if LIBRARY is None:
        parser.error("needs libfaketime (Debian: apt-get install libfaketime)")
    library = str(LIBRARY)
    tried = [moment for moment in moments(datetime.now(UTC)) if given.only in (None, moment.name)]
    if not tried:
        parser.error(f"there is no moment {given.only!r}")
    failed = False
    with ThreadPoolExecutor(given.jobs) as pool:
        runs = pool.map(lambda moment: _run(moment, library, whole=given.whole), tried)
        for moment, (code, output) in zip(tried, runs, strict=True):
            last = output.strip().splitlines()[-1:] or ["no output"]
            print(f"{moment.name:20} {moment.zone:18} {last[0].strip('= ')}", flush=True)
            if code:
                failed = True
                print(f'{output}\nTo repeat it: uv run python -m tests.clocks --only "{moment.name}"', flush=True)
    return int(failed)


def _run(moment: Moment, library: str, *, whole: bool) -> tuple[int, str]:
    """Run pytest at `moment`; returns its exit code and its output."""
    offset = (moment.starts - datetime.now(UTC)).total_seconds()
    options = ["-q", "--tb=short", "-p", "no:cacheprovider", *([] if whole else ["-n", "0", *SHARE])]
    shifted = {
        "LD_PRELOAD": library,
        "FAKETIME": f"{offset:+.3f}s",
        "FAKETIME_DISABLE_SHM": "1",  # for speed; nothing is shared with an offset
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # time-outs count real seconds
        "TZ": moment.zone,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options],
            env=os.environ | shifted,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        return 1, f"{error.output or ''}\nno end after {SECONDS} s"
    return done.returncode, done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
