"""libfaketime: the environment variables with which a process has another time."""

from datetime import UTC, datetime
from pathlib import Path

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
"""libfaketime; None where it is not installed (Debian: apt-get install libfaketime)."""


def shifted_to(moment: datetime, zone: str) -> dict[str, str]:
    """The variables for a process and all that it starts, whose clock shows `moment` now and goes
    on from there.
    """
    offset = (moment - datetime.now(UTC)).total_seconds()
    return {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME": f"{offset:+.3f}s",
        "FAKETIME_DISABLE_SHM": "1",  # for speed: an offset needs no shared state
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # time-outs are in real seconds
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # else no wait of Chromium's threads ever lasts
        "TZ": zone,
    }
