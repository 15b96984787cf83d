"""Opens the app context: what the tools of a server work with."""

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import anyio
from anyio.abc import TaskGroup

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.calls import Calls
from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.cli.connection import SIGN_IN_SECONDS, Connection
from kallyai_mcp.tools.confirmations import Confirmations
from kallyai_mcp.tools.context import AppContext, SignInLink

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from kallyai_mcp.auth.loopback import LoopbackSignIn
    from kallyai_mcp.auth.session import Session

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_app_context(
    connection: Connection, *, timezone: str | None = None, links: bool = True
) -> AsyncIterator[AppContext]:
    """Open the app context for as long as a server runs; `connection` is closed at the end.

    `timezone` is the user's (IANA), None for the machine's. With `links`, the user is at this
    machine, so tools give out sign-in links for its browser.
    """
    settings = connection.settings
    zone = timezone or _local_timezone()
    # A server for several users is not where they are, and the clock of a container is UTC.
    may_be_elsewhere = connection.callers or zone.rpartition("/")[2] in _UTC
    context = CallContext(
        connection.api,
        connection.account_key,
        connection.ledger,
        timing=connection.timing,
        clock=connection.clock,
    )
    if settings.stop_calls:
        _log.warning("No call is placed: KALLYAI_STOP_CALLS is set")
    async with connection, anyio.create_task_group() as tasks:
        async with Calls(
            context, works_alone=not connection.callers, is_read_only=settings.read_only
        ) as calls:
            yield AppContext(
                api=connection.api,
                calls=calls,
                sign_in=BrowserSignIn(connection, tasks, links=links),
                timezone=zone,
                zone_is_known=timezone is not None or not may_be_elsewhere,
                settings=settings,
                now=connection.clock.now,
                confirmations=Confirmations(settings.secret_keys),
            )
        tasks.cancel_scope.cancel()


class BrowserSignIn:
    """The tools' `SignInService`.

    In `tasks`, a listener waits for the user's browser, also after the tool's call.
    """

    def __init__(self, connection: Connection, tasks: TaskGroup, *, links: bool) -> None:
        self._connection = connection
        self._tasks = tasks
        self._links = links
        self._lock = anyio.Lock()
        self._flow: LoopbackSignIn | None = None
        """The sign-in that waits for its user."""
        self._ended = anyio.Event()
        self._ended.set()
        self._is_signed_in = False

    async def signed_in(self) -> str | None:
        """Who is signed in, as the tokens tell; None when nobody is."""
        tokens = await self._connection.tokens.current()
        return tokens.who or "" if tokens is not None else None

    async def link(self) -> SignInLink | None:
        """The link of the sign-in that waits for its user, or else of a new one.

        Raises `TokenStoreError` if a sign-in could not be stored, and `OSError` when there is no
        free port.
        """
        session = self._connection.session
        if session is None or not self._links:
            return None
        async with self._lock:
            if (flow := self._flow) is None:
                await session.check()
                flow = await self._tasks.start(self._wait, session)
        return SignInLink(flow.link, max(1, round(flow.seconds_left / 60)))

    async def wait_until_signed_in(self, seconds: float) -> bool:
        """Wait for the end of the newest sign-in, at most `seconds`; returns whether the user has
        signed in.
        """
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        return self._is_signed_in

    async def _wait(self, session: "Session", *, task_status: "TaskStatus[LoopbackSignIn]") -> None:
        # Late: a user who is signed in needs no listener.
        from kallyai_mcp.auth.loopback import LoopbackSignIn

        async with LoopbackSignIn(self._connection.api().cli_auth_url, SIGN_IN_SECONDS) as flow:
            self._flow = flow
            self._ended = anyio.Event()
            self._is_signed_in = False
            task_status.started(flow)
            try:
                await session.sign_in(await flow.grant())
                self._is_signed_in = True
            except KallyAIError as error:
                _log.info("sign-in: %s", error.code)
            finally:
                self._flow = None
                self._ended.set()


_UTC = frozenset({"UTC", "UCT", "GMT", "Universal", "Zulu", "Greenwich"})


def _local_timezone() -> str:
    """The IANA name of this machine's time zone; "UTC" if it can't be found out."""
    try:
        if sys.platform == "win32":
            import tzlocal  # knows the IANA names of Windows' own zones

            name = tzlocal.get_localzone_name()
        else:
            name = os.environ.get("TZ", "").removeprefix(":") or str(
                Path("/etc/localtime").resolve()
            )
        return ZoneInfo(name.rpartition("/zoneinfo/")[2]).key
    except (ValueError, OSError, LookupError):  # there is no such zone, or several
        return "UTC"
