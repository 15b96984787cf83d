"""Runs some tests with shifted clocks and in other time zones, so that no test and no answer
depends on the hour.

    uv run python -m tests.clocks

It needs libfaketime (Debian: apt-get install libfaketime). The clock is shifted by an offset, so
every process that a test starts has the same time. Exits with 1 when a run failed, and prints its
output and the command that repeats it.
"""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from subprocess import CompletedProcess

from tests.clocks.shifted_clock import LIBRARY, shifted_to
from tests.programs import run

SHARE = (
    "tests/auth/test_auth_tokens.py",
    "tests/cli/test_sandbox_command.py::test_the_demo_shows_three_calls",
    "tests/cli/test_status.py::test_status_shows_account_quota_and_calls",
    "tests/calls/decisions/test_policy.py",
    "tests/sandbox/test_quota.py",
)
"""Tests that use the machine's clock; few, because a shifted clock makes Python several times
slower.
"""

AT_NIGHT = ("tests/cli/test_calls.py",)
"""Tests that run once more, at night in all of the United States, when a user is asked before each
call there.
"""

YEARS_LATER = ("tests/cli/test_sandbox_command.py",)
"""Tests that run once more, years after the day that `tests.conftest.clock` shows."""

_LEAD = timedelta(seconds=8)
"""How long before a change of the clock a run starts, so that the clock changes while it runs."""


@dataclass(frozen=True)
class ShiftedTime:
    """A time at which the tests run: the start of the run on the shifted clock, and the value of
    `TZ`.
    """

    name: str
    starts: datetime
    zone: str = "UTC"
    tests: tuple[str, ...] = SHARE


def shifted_times(now: datetime) -> list[ShiftedTime]:
    """The times at which the tests run; `now` is timezone-aware."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    new_year = day.replace(year=day.year + 1, month=1, day=1)
    return [
        ShiftedTime(
            "09:30 UTC", day + timedelta(hours=9, minutes=30), "Asia/Kolkata", (*SHARE, *AT_NIGHT)
        ),
        ShiftedTime("21:30 UTC", day + timedelta(hours=21, minutes=30), "Pacific/Auckland"),
        ShiftedTime("a year ends", new_year - _LEAD),
        ShiftedTime(
            "February 29",
            datetime(2028, 2, 29, 12, tzinfo=UTC),
            "Europe/Madrid",
            (*SHARE, *YEARS_LATER),
        ),
        ShiftedTime(
            "New York to summer", datetime(2027, 3, 14, 7, tzinfo=UTC) - _LEAD, "America/New_York"
        ),
        ShiftedTime(
            "Madrid to winter", datetime(2027, 10, 31, 1, tzinfo=UTC) - _LEAD, "Europe/Madrid"
        ),
    ]


def main() -> int:
    """Run the tests at each time, print a row for each, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.clocks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--only", metavar="NAME", help="only the time with this name")
    only = parser.parse_args().only
    if LIBRARY is None:
        parser.error("needs libfaketime (Debian: apt-get install libfaketime)")
    tried = [time for time in shifted_times(datetime.now(UTC)) if only in (None, time.name)]
    if not tried:
        parser.error(f"there is no time {only!r}")
    failed = False
    with ThreadPoolExecutor(2) as pool:
        for time, done in zip(tried, pool.map(_run, tried), strict=True):
            last = done.stdout.strip().splitlines()[-1:] or ["no output"]
            print(f"{time.name:20} {time.zone:18} {last[0].strip('= ')}", flush=True)
            if done.returncode:
                failed = True
                print(
                    f"{done.stdout}\nTo repeat it: uv run python -m tests.clocks --only "
                    f'"{time.name}"',
                    flush=True,
                )
    return int(failed)


def _run(time: ShiftedTime) -> CompletedProcess[str]:
    """Run pytest at this time: the clock of its process, and of all that it starts, goes on from
    there.
    """
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        "-n",
        "0",
        *time.tests,
    ]
    return run(command, variables=os.environ | shifted_to(time.starts, time.zone))


if __name__ == "__main__":
    raise SystemExit(main())
