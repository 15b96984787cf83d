"""The booking that both kinds of the demo ask for."""

from dataclasses import replace
from datetime import datetime, timedelta

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.disclosure import with_disclosure
from kallyai_mcp.cli.screen import Screen

_FRIDAY = 4
"""As `date.weekday` counts."""


def demo_booking(now: datetime) -> Submission:
    """A table for four on the next Friday at seven; on a Friday, that of the next week."""
    days = (_FRIDAY - now.weekday()) % 7 or 7
    asked = Submission(
        task_category="restaurant",
        task_description="Book a table by the window",
        respondent_phone="+14155551234",
        business_name="Italian Bistro",
        user_name="Demo Guest",
        appointment_date=now.date() + timedelta(days=days),
        appointment_time="19:00",
        party_size=4,
    )
    return with_disclosure(asked)


def without_steps(screen: Screen) -> Screen:
    """A screen without commands: after the demo, none finds its calls."""
    return replace(screen, steps=())
