"""Who reads a text."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Reader:
    """The user who reads a text, or whose agent does.

    Attributes:
        spanish: They read Spanish, else English.
        timezone: IANA name of their time zone.
        now: The moment at which they read it, with a time zone.
        wait_seconds: How long their agent waits for a call to end by default.
    """

    spanish: bool
    timezone: str
    now: datetime
    wait_seconds: float = 0
