"""Opens the app context: what the tools of a server work with."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import anyio
from anyio.abc import TaskGroup

from kallyai_mcp.calls.calls import Calls
from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.tools.confirmations import Confirmations
from kallyai_mcp.tools.context import AppContext, SignInLink

if TYPE_CHECKING:
    from kallyai_mcp.auth.loopback import SignIn


@asynccontextmanager
async def open_app_context(
    connection: Connection, *, timezone: str | None = None, links: bool = True
) -> AsyncIterator[AppContext]:
    """Open the app context for as long as a server runs; `connection` is closed at the end.

    `timezone` is the user's (IANA), None for the machine's. With `links`, the user is at this machine, so tools give
    out sign-in links for its browser.
    """
    settings, zone = connection.settings, timezone or _local_timezone()
    context = CallContext(
        connection.api, connection.account_key, connection.ledger, timing=connection.timing, clock=connection.clock
    )
    async with connection, anyio.create_task_group() as tasks:
        async with Calls(context, works_alone=not connection.callers, is_read_only=settings.read_only) as calls:
            yield AppContext(
                api=connection.api,
                calls=calls,
                sign_in=_BrowserSignIn(connection, tasks, links=links),
                timezone=zone,
                # A server for several users is not where they are, and the clock of a container is UTC.
                zone_is_known=timezone is not None or not (connection.callers or zone.rpartition("/")[2] in _UTC),
                wait_seconds=settings.wait_seconds,
                now=connection.clock.now,
                confirmations=Confirmations(settings.secret_keys),
                # The embedded sandbox calls nobody, and a test number should do the same at every hour.
                confirm=settings.confirm or ("never" if connection.sandbox is not None else "auto"),
                embedded=connection.sandbox is not None,
            )
        tasks.cancel_scope.cancel()


class _BrowserSignIn:
    """The tools' `SignInService`. In `tasks`, the listener waits for the user's browser."""

    def __init__(self, connection: Connection, tasks: TaskGroup, *, links: bool) -> None:
        self._connection = connection
        self._tasks = tasks
        self._links = links
        self._sign_in: SignIn | None = None

    async def signed_in(self) -> str | None:
        tokens = await self._connection.tokens.current()
        return tokens.who or "" if tokens is not None else None

    async def wait_until_signed_in(self, seconds: float) -> bool:
        return self._sign_in is not None and await self._sign_in.arrived(seconds)

    async def link(self) -> SignInLink | None:
        session = self._connection.session
        if session is None or not self._links:
            return None
        if self._sign_in is None:
            from kallyai_mcp.auth.loopback import SignIn  # late: a user who is signed in needs no listener

            self._sign_in = SignIn(session, self._connection.sign_in_url, self._tasks)
        link, seconds = await self._sign_in.begin()
        return SignInLink(link, max(1, round(seconds / 60)))


_UTC = frozenset({"UTC", "UCT", "GMT", "Universal", "Zulu", "Greenwich"})


def _local_timezone() -> str:
    """The IANA name of this machine's time zone; "UTC" if it can't be found out."""
    try:
        if sys.platform == "win32":
            import tzlocal  # knows the IANA names of Windows' own zones

            name = tzlocal.get_localzone_name()
        else:
            name = os.environ.get("TZ", "").removeprefix(":") or str(Path("/etc/localtime").resolve())
        return ZoneInfo(name.rpartition("/zoneinfo/")[2]).key
    except (ValueError, OSError, LookupError):  # there is no such zone, or several
        return "UTC"
