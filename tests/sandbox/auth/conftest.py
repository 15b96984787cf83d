from collections.abc import Iterator

import pytest
from anyio.from_thread import start_blocking_portal

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.sandbox.state import Sandbox


@pytest.fixture
def sandbox(app: SandboxApp) -> Sandbox:
    sandbox: Sandbox = app.state.sandbox
    return sandbox


@pytest.fixture
def server(app: SandboxApp) -> Iterator[str]:
    """The base URL of the same sandbox on a real port."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(running(app)) as url,
    ):
        yield url
