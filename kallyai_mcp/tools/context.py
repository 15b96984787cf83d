"""The app context: what the tools work with. `cli` builds it, and it lives as long as the server."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import anyio

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Statistics
from kallyai_mcp.calls.calls import Calls
from kallyai_mcp.calls.clock import Stopwatch
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.settings import Confirm
from kallyai_mcp.tools.confirmations import Confirmations
from kallyai_mcp.tools.text.times import Reader

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_USAGE_SECONDS = 3.0
"""How many seconds to wait for the quota, which is only an addition to a result and must not delay it."""

_RECENT = 300.0
"""For how many seconds a quota is not asked for again, if enough was left."""

_MOST_ACCOUNTS = 1000
"""How many accounts' quotas are remembered."""


@dataclass(frozen=True)
class SignInLink:
    """A link to the sign-in page, and for how many minutes it is valid."""

    url: str
    minutes: int


class SignInService(Protocol):
    """Tells who is signed in, and gives the sign-in link."""

    async def signed_in(self) -> str | None:
        """Return the name or address of who is signed in, "" when the token has none; None when nobody is."""
        ...

    async def link(self) -> SignInLink | None:
        """Open the sign-in page and return a link to it; None if this sign-in does not use a link."""
        ...

    async def wait_until_signed_in(self, seconds: float) -> bool:
        """Wait at most `seconds` until the user has signed in by the link; return whether they have."""
        ...


@dataclass(frozen=True)
class AppContext:
    """What a tool may use.

    `timezone` is an IANA name: the user's if `zone_is_known`, else this machine's. `embedded`: KallyAI is the embedded
    sandbox, whose pages can't be opened. `api` makes the API client at its first use: listing the tools needs none.
    `usages` are what `usage` remembers.
    """

    api: "Callable[[], KallyAI]"
    calls: Calls
    sign_in: SignInService
    timezone: str
    wait_seconds: float
    now: Callable[[], datetime]
    confirmations: Confirmations
    confirm: Confirm = "auto"
    embedded: bool = False
    zone_is_known: bool = True
    zone_is_named: bool = False
    usages: dict[AccountKey, tuple[Statistics, Stopwatch]] = field(default_factory=dict)

    async def usage(self, enough: Callable[[Statistics], bool] = lambda _: False) -> Statistics | None:
        """The account's statistics; None when KallyAI does not give them, or not in time.

        If those that were read in the last minutes (`_RECENT`) show `enough`, KallyAI is not asked again.
        """
        statistics = None
        with suppress(KallyAIError):
            account = await self.calls.context.account()
            known = self.usages.get(account)
            if known is not None and known[1].longest() <= _RECENT and enough(known[0]):
                return known[0]
            since = Stopwatch(self.calls.clock)
            with anyio.move_on_after(_USAGE_SECONDS):
                statistics = await self.api().get_statistics()
                self.usages[account] = statistics, since
            if len(self.usages) > _MOST_ACCOUNTS:
                del self.usages[next(iter(self.usages))]
        return statistics

    def for_user_in(self, timezone: str | None) -> "AppContext":
        """The same for a user who is in the zone with this IANA name; unchanged for None."""
        if timezone is None:
            return self
        return replace(self, timezone=timezone, zone_is_known=True, zone_is_named=True)

    def reader(self) -> Reader:
        """The reader of a text that is written now."""
        zone = self.timezone, self.now(), self.wait_seconds, self.zone_is_known
        search = self.calls.context.timing.search
        return Reader(*zone, self.calls.places_due, zone_is_named=self.zone_is_named, search_seconds=search)
