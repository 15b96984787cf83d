"""The app context: what the tools work with. `cli` builds it, and it lives as long as the server."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from kallyai_mcp.calls.calls import Calls
from kallyai_mcp.settings import Confirm
from kallyai_mcp.tools.confirmations import Confirmations
from kallyai_mcp.tools.text.times import Reader
from kallyai_mcp.tools.usage_cache import UsageCache

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI
    from kallyai_mcp.calls.ledger.shared_values import SharedValues


@dataclass(frozen=True)
class SignedIn:
    """Who is signed in.

    Attributes:
        who: A name or address for display; None when the token has none.
    """

    who: str | None


@dataclass(frozen=True)
class SignInLink:
    """A link to the sign-in page, and for how many minutes it is valid."""

    url: str
    minutes: int


class SignInService(Protocol):
    """Tells who is signed in, and gives the sign-in link."""

    async def signed_in(self) -> SignedIn | None:
        """Return who is signed in; None when nobody is."""
        ...

    async def account(self) -> str:
        """Return the identifier of the account that is signed in, as in the ledger.

        Raises:
            NotSignedInError: Nobody is signed in.
        """
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

    Attributes:
        api: Returns the API client. It is made at the first use, because listing the tools needs none.
        calls: Places and finds calls.
        sign_in: Tells who is signed in.
        timezone: IANA name of the user's time zone.
        wait_seconds: How long a tool waits for a call to end by default, in seconds.
        now: The clock; returns the current time, with a time zone.
        confirmations: Issues and checks confirmations, which carry the user's consent if the client can't show a form.
        confirm: When the user is asked before a call (`KALLYAI_CONFIRM`).
        embedded: KallyAI is the embedded sandbox, whose pages can't be opened.
        usage: The quota and subscription of each account.
        shared_state: Returns the store of what the workers share besides calls.
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
    usage: UsageCache = field(default_factory=UsageCache)
    shared_state: "Callable[[], SharedValues] | None" = None

    def reader(self) -> Reader:
        """The reader of a text that is written now."""
        return Reader(self.timezone, self.now(), self.wait_seconds)
