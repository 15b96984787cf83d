"""What no run may do, whatever fails in it."""

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """What a run must not do. Each oracle judges by some of these."""

    TWICE = "placed twice"
    LOST = "outcome lost"
    STUCK = "record stuck"
    UNTRUE = "not true"
    UNASKED = "placed without the user's yes"
    LATE = "placed too early or too late"
    TOO_MANY = "too many calls at once"
    ACCOUNT = "placed on another account"
    LEAKED = "token or traceback leaked"
    FAILED = "server failed or hung"


@dataclass(frozen=True)
class Violation:
    """One violation of a rule, and what happened."""

    rule: Rule
    text: str
