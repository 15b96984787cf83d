"""What the tools work with, put together by `cli` and opened for the server's lifetime."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from kallyai_mcp.calls.service import CallService
from kallyai_mcp.common_types import Confirm
from kallyai_mcp.tools.confirmations import Confirmations
from kallyai_mcp.tools.usage_cache import UsageCache

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI


@dataclass(frozen=True)
class SignedIn:
    """Who is signed in, for display; None when the token doesn't say."""

    who: str | None


@dataclass(frozen=True)
class SignInLink:
    """A link that signs in, and how many minutes it works from now on."""

    url: str
    minutes: int


class SignInService(Protocol):
    """Who is signed in, and how somebody can be."""

    async def signed_in(self) -> SignedIn | None:
        """Who is signed in; None when nobody is."""
        ...

    async def account(self) -> str:
        """A name for the account that is signed in, as the ledger has it.

        Raises:
            NotSignedInError: Nobody is.
        """
        ...

    async def link(self) -> SignInLink | None:
        """A link that signs in, with something waiting behind it; None where signing in does not go by a link."""
        ...

    async def arrived(self, seconds: float) -> bool:
        """Whether whoever was given the link has signed in, within `seconds` from now at the latest."""
        ...


@dataclass(frozen=True)
class AppContext:
    """What a tool may use.

    Attributes:
        api: Gives the API client; made on the first call, since listing the tools needs none.
        dialler: Places calls.
        reception: Signing in.
        timezone: IANA name of the user's time zone.
        wait_seconds: How long a tool waits for a call to end when it isn't told, in seconds.
        now: The clock.
        embedded: KallyAI is the embedded sandbox, whose pages nobody can open.
        confirm: When the user is asked before a call.
        confirmations: Stand in for a user's yes where the client can't ask.
        plans: What each account subscribes to.
    """

    api: "Callable[[], KallyAI]"
    calls: CallService
    sign_in: SignInService
    timezone: str
    wait_seconds: float
    now: Callable[[], datetime]
    confirmations: Confirmations
    confirm: Confirm = "auto"
    embedded: bool = False
    plans: UsageCache = field(default_factory=UsageCache)
