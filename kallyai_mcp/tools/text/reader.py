"""The reader of a text."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Reader:
    """The user who gets a text. The user, or the user's agent, reads it.

    Attributes:
        spanish: The text is in Spanish; otherwise in English.
        timezone: IANA name of the user's time zone.
        now: The current time, with a time zone.
        wait_seconds: How many seconds a tool waits for a call to end by default.
    """

    spanish: bool
    timezone: str
    now: datetime
    wait_seconds: float = 0
