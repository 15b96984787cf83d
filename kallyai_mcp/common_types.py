"""Types, names, and one rule that packages share which may not import each other; this module imports none of them."""

from typing import Final, Literal, NamedTuple, Protocol

Confirm = Literal["auto", "always", "never"]
"""When to ask the user before a call: `auto` only if the call has a risk flag."""

LogFormat = Literal["text", "json"]
"""The format of the log on stderr: text for people, or one JSON object per line."""


SIGN_IN_CLAIM: Final = "sign_in"
"""The claim of a verified bearer token that names the sign-in from which it comes."""

REVOKED_SIGN_IN: Final = "oauth_revoked"
"""The kind of the shared values that say which sign-ins were revoked."""


def is_token(text: str) -> bool:
    """Whether a text can be sent as a bearer token: printable ASCII without spaces."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


class PostAnswer(NamedTuple):
    """The answer to a POST: its status, the beginning of its body, and the seconds of its `Retry-After`."""

    status: int
    body: bytes = b""
    retry_after: float | None = None


class RateLimit(Protocol):
    """A limit on how often each caller may do something."""

    def acquire(self, caller: str) -> float:
        """Count one use by `caller` if it is allowed; returns 0 if it was, else the seconds until it will be."""
        ...

    def peek(self, caller: str) -> float:
        """Return what `acquire` would, but count nothing."""
        ...
