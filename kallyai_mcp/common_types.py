"""What packages share that may not import each other. This module imports nothing of the package."""

from typing import Final, Literal, Protocol

Confirm = Literal["auto", "always", "never"]
"""When to ask the user before a call. `auto`: only if the call has a risk flag."""

LogFormat = Literal["text", "json"]
"""The format of the log on stderr: text for people, or one JSON object per line."""

SIGN_IN_CLAIM: Final = "sign_in"
"""The claim of a verified bearer token that has the id of its sign-in."""

REVOKED_SIGN_IN: Final = "oauth_revoked"
"""The kind of the shared values (`SharedValues`) whose names are the ids of revoked sign-ins."""


def is_token(text: str) -> bool:
    """Whether a text can be sent as a bearer token: it is printable ASCII without spaces, and not empty."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


class RateLimit(Protocol):
    """A limit on how often each caller may do something."""

    def acquire(self, caller: str) -> float:
        """Count one use by `caller` if it is allowed; returns 0, or the seconds until one is allowed."""
        ...

    def peek(self, caller: str) -> float:
        """Return what `acquire` would return, but count nothing."""
        ...
