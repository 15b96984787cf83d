"""What the OAuth server must remember, because it can't be sealed: that a code or token was used, or was revoked."""

from typing import Protocol


class SharedState(Protocol):
    """Texts by kind and name, each for a limited time, shared by all workers and kept when they restart.

    Each method is one atomic step, also between workers. Each raises `KallyAIError` when the state can't be reached.
    """

    async def put(self, kind: str, name: str, value: str, seconds: float) -> str | None:
        """Set a value for `seconds`; returns the value that it replaced."""
        ...

    async def add(self, kind: str, name: str, value: str, seconds: float) -> bool:
        """Set a value for `seconds` unless there is one; returns whether it was set."""
        ...

    async def get(self, kind: str, name: str) -> str | None:
        """The value; None if there is none."""
        ...

    async def drop(self, kind: str, name: str) -> None:
        """Delete a value."""
        ...
