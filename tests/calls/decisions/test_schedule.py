"""Until when a call may be placed: the callee's night and the appointment, as values, without a
ledger.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from kallyai_mcp.api.errors import (
    KallyAIError,
    NotConnectedError,
    NotSignedInError,
    QuotaExceededError,
    RateLimitedError,
    UnauthorizedError,
)
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.schedule import (
    Attempt,
    Schedule,
    bounded,
    is_past_appointment,
    latest_moment,
    next_schedule,
    put_off,
)

NEW_YORK = "America/New_York"
WASHINGTON, TOLL_FREE = "+12025550123", "+18005551234"
SPANISH_MOBILE = "+34612345678"
"""In Madrid, or on the Canary Islands, where it is an hour earlier."""


def at(local: str, zone: str = NEW_YORK) -> datetime:
    return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def call_to(number: str = WASHINGTON, appointment: str | None = None) -> Submission:
    """A submission; `appointment` is a day, or a day and a time."""
    day, _, hour = (appointment or "").partition(" ")
    return Submission(
        task_category="restaurant",
        task_description="Book a table",
        respondent_phone=number,
        party_size=4,
        appointment_date=date.fromisoformat(day) if day else None,
        appointment_time=hour or None,
    )


@pytest.mark.parametrize(
    ("number", "agreed_for", "zone", "latest"),
    [
        (WASHINGTON, "2026-01-26 20:55", NEW_YORK, "2026-01-26 21:00"),
        (WASHINGTON, "2026-01-26 08:00", NEW_YORK, "2026-01-26 21:00"),
        # A night that was agreed to does not count; the next one does.
        (WASHINGTON, "2026-01-26 21:00", NEW_YORK, "2026-01-27 21:00"),
        (WASHINGTON, "2026-01-26 07:59", NEW_YORK, "2026-01-26 21:00"),
        # The clocks go forward and back in these nights.
        (WASHINGTON, "2026-03-07 23:00", NEW_YORK, "2026-03-08 21:00"),
        (WASHINGTON, "2026-10-31 23:00", NEW_YORK, "2026-11-01 21:00"),
        # The number's own zone counts, not that of the request.
        (WASHINGTON, "2026-01-26 19:00", "America/Los_Angeles", "2026-01-27 18:00"),
        # Without one, that of the request does.
        (TOLL_FREE, "2026-01-26 20:55", NEW_YORK, "2026-01-26 21:00"),
        (TOLL_FREE, "2026-01-26 20:55", "America/Los_Angeles", "2026-01-26 21:00"),
        # Of several zones, the earliest 21:00; a night is over when it is day in all of them.
        (SPANISH_MOBILE, "2026-01-26 20:50", "Europe/Madrid", "2026-01-26 21:00"),
        (SPANISH_MOBILE, "2026-01-26 20:50", "Atlantic/Canary", "2026-01-27 20:00"),
        (SPANISH_MOBILE, "2026-01-26 08:30", "Europe/Madrid", "2026-01-26 21:00"),
    ],
)
def test_a_call_may_be_placed_until_night(
    number: str,
    agreed_for: str,
    zone: str,
    latest: str,
) -> None:
    assert latest_moment(call_to(number), zone, at(agreed_for, zone)) == at(latest, zone)


@pytest.mark.parametrize(
    ("appointment", "agreed_for", "latest"),
    [
        ("2026-01-26 19:00", "2026-01-26 18:50", "2026-01-26 19:00"),
        ("2026-01-26 22:00", "2026-01-26 18:50", "2026-01-26 21:00"),
        ("2026-01-26", "2026-01-26 18:50", "2026-01-26 21:00"),
        ("2026-01-26", "2026-01-26 23:00", "2026-01-27 00:00"),  # a day ends at midnight
        ("2026-01-26 19:00", "2026-01-26 19:10", "2026-01-26 21:00"),  # past when the user asked
    ],
)
def test_a_call_may_be_placed_until_its_appointment(
    appointment: str,
    agreed_for: str,
    latest: str,
) -> None:
    assert latest_moment(call_to(appointment=appointment), NEW_YORK, at(agreed_for)) == at(latest)


@pytest.mark.parametrize(
    ("due", "is_past"),
    [("2026-01-26 18:59", False), ("2026-01-26 19:00", True), ("2026-01-27 08:00", True)],
)
def test_a_call_at_its_appointments_time_is_late(due: str, is_past: bool) -> None:
    for_seven = call_to(appointment="2026-01-26 19:00")

    assert is_past_appointment(for_seven, at(due), NEW_YORK) is is_past


@pytest.mark.parametrize(
    ("due", "place_by"),
    [
        ("2026-01-26 20:10", "2026-01-26 20:40"),
        ("2026-01-26 20:55", "2026-01-26 21:00"),
        ("2026-01-26 22:00", "2026-01-26 22:30"),  # the user has agreed to the night
    ],
)
def test_a_calls_window_ends_with_the_day(due: str, place_by: str) -> None:
    window = Schedule(at(due), at(due) + timedelta(minutes=30), 2)

    found = bounded(window, call_to(), NEW_YORK, agreed_for=at(due))

    assert found == Schedule(at(due), at(place_by), 2)


def test_a_call_placed_at_once_has_no_window() -> None:
    at_once = Schedule(attempts=3)

    assert bounded(at_once, call_to(), NEW_YORK, agreed_for=at("2026-01-26 22:00")) == at_once


@pytest.mark.parametrize(
    ("ended", "appointment", "place_by"),
    [
        ("2026-01-26 12:00", None, "2026-01-26 12:45"),
        ("2026-01-26 20:40", None, "2026-01-26 21:00"),
        ("2026-01-26 18:35", "2026-01-26 19:00", "2026-01-26 19:00"),
        ("2026-01-26 18:45", "2026-01-26 19:00", None),
        ("2026-01-26 20:50", None, "2026-01-27 08:30"),
    ],
)
def test_a_retry_ends_with_day_or_appointment(
    ended: str, appointment: str | None, place_by: str | None
) -> None:
    attempt = Attempt(at(ended) - timedelta(minutes=1), "busy", "c-1")

    found = next_schedule(
        Schedule(attempts=2),
        attempt,
        at(ended),
        call_to(appointment=appointment),
        NEW_YORK,
        place_within=1800,
    )

    expected = at(place_by) if place_by is not None else None
    assert (found and found.place_by) == expected


SIGNED_OUT = NotSignedInError("Not signed in")
CHANGED = KallyAIError("Another account is signed in", code="account_changed")
TOKEN_REFUSED = UnauthorizedError("The token has expired", status=401)


def limited(retry_after: float | None = None) -> RateLimitedError:
    return RateLimitedError("Too many requests", status=429, retry_after=retry_after)


@pytest.mark.parametrize(
    ("error", "now", "due"),
    [
        (SIGNED_OUT, "12:00:00", "12:00:30"),
        (CHANGED, "12:00:00", "12:00:30"),
        (TOKEN_REFUSED, "12:29:50", "12:30:20"),  # it expires before that
        (SIGNED_OUT, "12:30:00", "12:30:30"),
        (limited(120), "12:00:00", "12:02:00"),
        (limited(), "12:00:00", "12:00:30"),
        (limited(5), "12:00:00", "12:00:30"),
        (limited(600), "12:20:00", "12:30:00"),
        (limited(601), "12:20:00", None),
        (QuotaExceededError("Used up", status=402), "12:00:00", None),
        (NotConnectedError("No connection"), "12:00:00", None),
    ],
)
def test_a_due_call_is_put_off_by_errors(
    error: KallyAIError,
    now: str,
    due: str | None,
) -> None:
    window = Schedule(at("2026-01-26 12:00"), at("2026-01-26 12:30"), 2)

    found = put_off(window, error, at(f"2026-01-26 {now}"))

    expected = at(f"2026-01-26 {due}") if due is not None else None
    assert (found and found.not_before) == expected
    assert found is None or found.place_by == window.place_by


def test_a_call_placed_at_once_never_waits() -> None:
    assert put_off(Schedule(), SIGNED_OUT, at("2026-01-26 12:00")) is None
