"""A sandbox for the length of a `with` block."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kallyai_mcp.sandbox.app import SandboxApp, create_app


@contextmanager
def sandbox_app(**options: Any) -> Iterator[SandboxApp]:
    """Create a sandbox with `create_app(**options)` and close it at the end of the block."""
    app = create_app(**options)
    try:
        yield app
    finally:
        app.state.sandbox.close()
