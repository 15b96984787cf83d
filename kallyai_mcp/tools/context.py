"""The app context: what the tools work with.

`cli` builds it, and it lives as long as the server.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import anyio

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Statistics
from kallyai_mcp.calls.calls import Calls
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.confirmations import Confirmations
from kallyai_mcp.tools.text.plain import Reader, zone_of

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_USAGE_SECONDS = 3.0
"""How many seconds to wait for the quota, which is only an addition to a result and must not delay
it.
"""


@dataclass(frozen=True)
class SignInLink:
    """A link to the sign-in page, and for how many minutes it is valid."""

    url: str
    minutes: int


class SignInService(Protocol):
    """Tells who is signed in, and gives the sign-in link."""

    async def signed_in(self) -> str | None:
        """Return the name or address of who is signed in, "" when the token has none; None when
        nobody is.
        """
        ...

    async def link(self) -> SignInLink | None:
        """Open the sign-in page and return a link to it; None if this sign-in does not use a
        link.
        """
        ...

    async def wait_until_signed_in(self, seconds: float) -> bool:
        """Wait at most `seconds` until the user has signed in by the link; return whether they
        have.
        """
        ...


@dataclass(frozen=True)
class AppContext:
    """What a tool may use.

    `timezone` is an IANA name: the user's if `zone_is_known`, else this machine's. `api` makes the
    API client at its first use: listing the tools needs none.
    """

    api: "Callable[[], KallyAI]"
    calls: Calls
    sign_in: SignInService
    timezone: str
    settings: Settings
    now: Callable[[], datetime]
    confirmations: Confirmations
    zone_is_known: bool = True
    zone_is_named: bool = False

    async def usage(self) -> Statistics | None:
        """The account's statistics; None when KallyAI does not give them, or not in time.

        A call that is placed next then knows KallyAI's time from the beginning.
        """
        with (
            anyio.move_on_after(_USAGE_SECONDS),
            suppress(KallyAIError),
            self.calls.context.api() as api,
        ):
            return await api.get_statistics()
        return None

    def for_user_in(self, timezone: str | None) -> "AppContext":
        """The same for a user who is in the zone with this IANA name; unchanged for None."""
        if timezone is None:
            return self
        return replace(self, timezone=timezone, zone_is_known=True, zone_is_named=True)

    def reader(self) -> Reader:
        """The reader of a text that is written now."""
        return Reader(
            self.timezone,
            now=self.now().astimezone(zone_of(self.timezone)),
            wait_seconds=self.settings.wait_seconds,
            zone_is_known=self.zone_is_known,
            schedules=self.calls.places_due,
            zone_is_named=self.zone_is_named,
            search_seconds=self.settings.settle_seconds,
            is_asked=self.settings.asks != "never",
        )
