"""Types that packages share which may not import each other; this module imports none of them."""

from typing import Literal, Protocol

Confirm = Literal["auto", "always", "never"]
"""When to ask the user before a call: `auto` only if the call has a risk flag."""

LogFormat = Literal["text", "json"]
"""The format of the log on stderr: text for people, or one JSON object per line."""


class RateLimit(Protocol):
    """A limit on how often each caller may do something."""

    async def wait(self, caller: str) -> float:
        """Counts one use by `caller` if the limit allows it.

        Returns:
            0 if it was allowed, else the seconds until it will be.
        """
        ...

    async def look(self, caller: str) -> float:
        """Returns what `wait` would, but counts nothing."""
        ...
