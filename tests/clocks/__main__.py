"""Runs the tests with shifted clocks and in other time zones, so that no test and no answer depends on the hour.

    uv run python -m tests.clocks            some tests at each time
    uv run python -m tests.clocks --whole    all tests at each time (about 4 minutes for each)

It needs libfaketime (Debian: apt-get install libfaketime). The clock is shifted by an offset, so every process that a
test starts has the same time. Exits with 1 when a run failed, and prints its output and the command that repeats it.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.clocks.shifted_clock import LIBRARY, shifted_to

SHARE = (
    "tests/auth/test_auth_tokens.py",
    "tests/cli/test_sandbox_command.py::test_the_demo_shows_three_calls_and_what_to_do_next",
    "tests/cli/test_status.py::test_it_shows_the_account_the_quota_and_the_calls_and_no_token",
    "tests/calls/test_policy.py",
    "tests/sandbox/test_quota.py",
)
"""Tests that use the machine's clock; few, because a shifted clock makes Python several times slower."""

AT_NIGHT = ("tests/cli/test_calls.py",)
"""Tests that run once more, at night in all of the United States, when a user is asked before each call there."""

YEARS_LATER = ("tests/cli/test_sandbox_command.py",)
"""Tests that run once more, years after the day that `tests.conftest.clock` shows."""

SECONDS = 3600
"""Seconds until a run counts as hung."""

_LEAD = timedelta(seconds=8)
"""How long before a change of the clock a run starts, so that the clock changes while it runs."""


@dataclass(frozen=True)
class ShiftedTime:
    """A time at which the tests run: the start of the run on the shifted clock, and the value of `TZ`."""

    name: str
    starts: datetime
    zone: str = "UTC"
    tests: tuple[str, ...] = SHARE


def shifted_times(now: datetime) -> list[ShiftedTime]:
    """The times at which the tests run; `now` is timezone-aware."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    new_year = day.replace(year=day.year + 1, month=1, day=1)
    return [
        ShiftedTime("09:30 UTC", day + timedelta(hours=9, minutes=30), "Asia/Kolkata", (*SHARE, *AT_NIGHT)),
        ShiftedTime("21:30 UTC", day + timedelta(hours=21, minutes=30), "Pacific/Auckland"),
        ShiftedTime("a year ends", new_year - _LEAD),
        ShiftedTime("February 29", datetime(2028, 2, 29, 12, tzinfo=UTC), "Europe/Madrid", (*SHARE, *YEARS_LATER)),
        ShiftedTime("New York to summer", datetime(2027, 3, 14, 7, tzinfo=UTC) - _LEAD, "America/New_York"),
        ShiftedTime("Madrid to winter", datetime(2027, 10, 31, 1, tzinfo=UTC) - _LEAD, "Europe/Madrid"),
    ]


def main() -> int:
    """Run the tests at each time, print a row for each, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.clocks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--whole", action="store_true", help="run all tests, not only some")
    parser.add_argument("--only", metavar="NAME", help="only the time with this name")
    parser.add_argument("--jobs", type=int, default=2, help="how many runs at once (default: 2)")
    options = parser.parse_args()
    if LIBRARY is None:
        parser.error("needs libfaketime (Debian: apt-get install libfaketime)")
    tried = [time for time in shifted_times(datetime.now(UTC)) if options.only in (None, time.name)]
    if not tried:
        parser.error(f"there is no time {options.only!r}")
    failed = False
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = pool.map(lambda time: _run(time, whole=options.whole), tried)
        for time, (code, output) in zip(tried, runs, strict=True):
            last = output.strip().splitlines()[-1:] or ["no output"]
            print(f"{time.name:20} {time.zone:18} {last[0].strip('= ')}", flush=True)
            if code:
                failed = True
                print(f'{output}\nTo repeat it: uv run python -m tests.clocks --only "{time.name}"', flush=True)
    return int(failed)


def _run(time: ShiftedTime, *, whole: bool) -> tuple[int, str]:
    """Run pytest at this time; returns its exit code and its output."""
    arguments = ["-q", "--tb=short", "-p", "no:cacheprovider", *([] if whole else ["-n", "0", *time.tests])]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            env=os.environ | shifted_to(time.starts, time.zone),
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
