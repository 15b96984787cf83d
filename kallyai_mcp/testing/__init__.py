"""Tests of agents: the pytest fixture `kallyai_sandbox`, and the classes of its objects.

pytest imports this package in every run if kallyai-mcp is installed, so its classes are imported
when they are used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kallyai_mcp.testing.sandbox import KallyAISandbox, Line, PlacedCall

__all__ = ["KallyAISandbox", "Line", "PlacedCall"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kallyai_mcp.testing import sandbox

    return getattr(sandbox, name)
