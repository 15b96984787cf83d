"""The sign-in of a server on the user's machine: the sign-in link, and who is signed in."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from anyio.abc import TaskGroup

from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.tools.context import SignedIn, SignInLink

if TYPE_CHECKING:
    from kallyai_mcp.auth.sign_in import SignIn


class BrowserSignIn:
    """The tools' `SignInService`.

    Args:
        connection: The KallyAI to sign in to.
        tasks: The task group in which the listener waits for the user's browser.
        links: Give out sign-in links. False if the user's browser is on another machine than this server.
    """

    def __init__(self, connection: Connection, tasks: TaskGroup, *, links: bool) -> None:
        self._connection = connection
        self._tasks = tasks
        self._links = links
        self._sign_in: SignIn | None = None

    async def signed_in(self) -> SignedIn | None:
        """See `SignInService`."""
        tokens = await self._connection.credentials.tokens.current()
        return SignedIn(tokens.who) if tokens is not None else None

    async def account(self) -> str:
        """See `SignInService`."""
        return (await self._connection.account_key()).account

    async def wait_until_signed_in(self, seconds: float) -> bool:
        """See `SignInService`."""
        return self._sign_in is not None and await self._sign_in.arrived(seconds)

    async def link(self) -> SignInLink | None:
        """See `SignInService`."""
        session = self._connection.credentials.session
        if session is None or not self._links:
            return None
        if self._sign_in is None:
            from kallyai_mcp.auth.sign_in import SignIn  # late: a user who is signed in needs no listener

            self._sign_in = SignIn(session, self._connection.sign_in_url, self._tasks)
        link, expires_at = await self._sign_in.begin()
        return SignInLink(link, max(1, round((expires_at - datetime.now(UTC).timestamp()) / 60)))
