"""The state of the OAuth server that can't be sealed: which codes and tokens were used or revoked."""

from typing import Protocol


class SharedState(Protocol):
    """Texts by kind and name that expire, which all workers share and restarts keep. `SharedValues` implements it.

    Each method is one atomic step, also between workers. Each raises `KallyAIError` when the state can't be reached.
    """

    async def put(self, kind: str, name: str, value: str, seconds: float) -> str | None:
        """Set a value for `seconds`; returns the value before it, or None."""
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
