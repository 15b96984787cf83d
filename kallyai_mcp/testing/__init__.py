"""Tests of agents: the pytest fixture `kallyai_sandbox`, and the classes of its objects.

pytest imports this package in every run if kallyai-mcp is installed. So its modules are imported only when they are
used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kallyai_mcp.testing.line import Line
    from kallyai_mcp.testing.placed_call import PlacedCall
    from kallyai_mcp.testing.sandbox import KallyAISandbox

__all__ = ["KallyAISandbox", "Line", "PlacedCall"]

_MODULES = {"KallyAISandbox": "sandbox", "Line": "line", "PlacedCall": "placed_call"}


def __getattr__(name: str) -> Any:
    """Import a class of `__all__` when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
