"""Tests of agents: the pytest fixture `kallyai_sandbox`, and the classes of its objects.

pytest imports this package in every run if kallyai-mcp is installed, so its modules are imported when they are used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kallyai_mcp.testing.line import Line
    from kallyai_mcp.testing.sandbox import KallyAISandbox, PlacedCall

__all__ = ["KallyAISandbox", "Line", "PlacedCall"]


def __getattr__(name: str) -> Any:
    """Import a class of `__all__` when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'line' if name == 'Line' else 'sandbox'}"), name)
