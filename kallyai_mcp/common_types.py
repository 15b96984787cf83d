"""Types that packages share which may not import each other; this module imports none of them."""

from typing import Literal, Protocol

Confirm = Literal["auto", "always", "never"]
"""When to ask the user before a call: `auto` only if the call has a risk flag."""

LogFormat = Literal["text", "json"]
"""The format of the log on stderr: text for people, or one JSON object per line."""


class RateLimit(Protocol):
    """A limit on how often each caller may do something."""

    def acquire(self, caller: str) -> float:
        """Count one use by `caller` if it is allowed; returns 0 if it was, else the seconds until it will be."""
        ...

    def peek(self, caller: str) -> float:
        """Return what `acquire` would, but count nothing."""
        ...
