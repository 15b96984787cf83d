"""Checks before anything is sent. Refused here is only what is certain; for all else the service is the authority."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from kallyai_mcp.calls.numbers import NumberProblem, normalize

_LAST_PLACE_ON_EARTH = timezone(-timedelta(hours=12))
"""Where a day ends last; a date that is over even there is over everywhere."""


@dataclass(frozen=True)
class Problem:
    """One argument that needs a change, and which one, in a line that an agent can act on."""

    argument: str
    text: str


def check_arguments(given: Mapping[str, Any], *, now: datetime) -> list[Problem]:
    """What is certainly wrong with the arguments of a call, beyond their types.

    Args:
        given: Arguments by the reference's names, as they were sent; those of a wrong type are left out.
        now: The present moment, aware.
    """
    problems = [
        Problem(argument, f'"{shortened(number)}" {wrong.text}')
        for argument in ("respondent_phone", "user_phone")
        if isinstance(number := given.get(argument), str) and isinstance(wrong := normalize(number), NumberProblem)
    ]
    day = given.get("appointment_date")
    if isinstance(day, str) and date.fromisoformat(day) < now.astimezone(_LAST_PLACE_ON_EARTH).date():
        problems.append(Problem("appointment_date", f"{day} is past; today is {now:%Y-%m-%d} (UTC)"))
    zone = given.get("timezone")
    if isinstance(zone, str) and (text := _unknown_zone(zone)):
        problems.append(Problem("timezone", text))
    return problems


def shortened(text: str, limit: int = 60) -> str:
    """`text` on one line, printable, and at most `limit` characters long."""
    line = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(line.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _unknown_zone(zone: str) -> str | None:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):  # what zoneinfo raises for unknown names, odd paths and folders
        pass
    else:
        return None
    quoted = f'"{shortened(zone)}" is not an IANA time zone'
    words = zone.strip().replace(" ", "_").lower()
    by_city = {name.rpartition("/")[2].lower(): name for name in sorted(available_timezones())}
    close = difflib.get_close_matches(words.rpartition("/")[2], by_city, n=1, cutoff=0.75)
    return f"{quoted}; did you mean {by_city[close[0]]}?" if close else f"{quoted}; it looks like America/New_York"
