"""Tests of agents: the pytest fixture `kallyai_sandbox`, and the classes of its objects."""

from kallyai_mcp.testing.plugin import KallyAISandbox, Line, PlacedCall

__all__ = ["KallyAISandbox", "Line", "PlacedCall"]
