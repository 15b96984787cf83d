"""Restores the log of the tests."""

import logging
from collections.abc import Iterator

import pytest

LIBRARIES = ("mcp", "mcp.server.mcpserver.server", "sse_starlette", "httpcore2")


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Restores the handlers and levels that a test changes."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    levels = [(known, known.level) for known in (root, *map(logging.getLogger, LIBRARIES))]
    yield
    root.handlers[:] = handlers
    for known, level in levels:
        known.setLevel(level)
