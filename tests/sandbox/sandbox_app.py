"""A sandbox in this process, and its clients."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from kallyai_mcp.sandbox.app import SandboxApp, create_app


@contextmanager
def sandbox_app(**options: Any) -> Iterator[SandboxApp]:
    """Create a sandbox with `create_app(**options)` and close it at the end of the block."""
    app = create_app(**options)
    try:
        yield app
    finally:
        app.state.sandbox.close()


def client_of(app: SandboxApp, **options: Any) -> httpx2.AsyncClient:
    """A client of the sandbox in this process, without a network."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://sandbox.test", **options
    )
