"""Opens the app context: what the tools of a server work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from kallyai_mcp.calls.calls import Calls
from kallyai_mcp.calls.worker import Worker
from kallyai_mcp.cli.browser_sign_in import BrowserSignIn
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.ledger import timing
from kallyai_mcp.cli.local_timezone import local_timezone
from kallyai_mcp.tools.confirmations import Confirmations
from kallyai_mcp.tools.context import AppContext


@asynccontextmanager
async def open_app_context(
    connection: Connection, *, timezone: str | None = None, links: bool = True
) -> AsyncIterator[AppContext]:
    """Open the app context for as long as a server runs.

    Args:
        connection: The credentials, the API client, the ledger, and the clock; closed at the end.
        timezone: The user's IANA time zone; None for the machine's.
        links: The user is at this machine, so tools give out sign-in links for its browser.
    """
    settings = connection.settings
    async with connection, anyio.create_task_group() as tasks:
        async with Worker(
            connection.api,
            connection.account_key,
            connection.ledger,
            timing=timing(settings),
            clock=connection.clock,
            places_due=not connection.callers and not settings.read_only,
        ) as worker:
            yield AppContext(
                api=connection.api,
                calls=Calls(worker),
                sign_in=BrowserSignIn(connection, tasks, links=links),
                timezone=timezone or local_timezone(),
                wait_seconds=settings.wait_seconds,
                now=connection.clock.now,
                confirmations=Confirmations(lambda: connection.keys()),
                # The embedded sandbox calls nobody, and a test number should do the same at every hour.
                confirm=settings.confirm or ("never" if connection.sandbox is not None else "auto"),
                embedded=connection.sandbox is not None,
                shared_state=connection.shared_state,
            )
        tasks.cancel_scope.cancel()
