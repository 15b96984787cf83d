"""What is known of the requests of a call (`Sending`), what may come of a request, a look, or a
pause (`Result`), and what `sending.next_step` says to do then (`Step`).
"""

from dataclasses import dataclass
from enum import StrEnum

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.timing import Timing


class Phase(StrEnum):
    """What is known of the requests of a call's key."""

    UNSENT = "no request may have placed the call"
    # Before the first request of this attempt.
    PUT_OFF = "an earlier attempt got 429, and the list is to be looked through"
    LIMITED = "the newest request got 429, and the list is to be looked through"
    LIMITED_AT_LAST = "as LIMITED, and no other request follows"
    UNLISTED = "after 429, the list has shown no such call"
    UNREACHED = "as UNLISTED, and then there was no connection"
    LOST = "the response to the only request was lost"
    LOST_AFTER_429 = "the response to a request was lost that followed 429"
    SENT_AGAIN = "the request whose response was lost is sent once more"
    SEARCHED = "the call may have been placed, and is looked for"
    SEARCHED_AFTER_429 = "the call is unlikely to have been placed, and is looked for"
    IN_PROGRESS = "the call was placed, and has not ended"


@dataclass(frozen=True)
class Sending:
    """What is known of the requests of a call's key. All times are seconds.

    Attributes:
        is_due: Whether the call is placed in a window of time.
        may_wait: Whether it is, and not by a list: then it may be placed later in its window.
        error: Why no call was placed, or why that is not known.
        tries: How many requests were refused.
        pause: The next pause, where the service asks for no other one.
        search: How long to look for the call.
    """

    phase: Phase
    timing: Timing
    error: KallyAIError
    is_due: bool
    may_wait: bool
    tries: int = 0
    pause: float = 0.0
    search: float = 0.0

    @property
    def most_tries(self) -> int:
        """How many requests may be refused before the call is."""
        timing = self.timing
        return timing.connect_tries_when_due if self.is_due else timing.connect_tries

    @property
    def longest_pause(self) -> float:
        """The longest pause of this phase."""
        is_in_progress = self.phase is Phase.IN_PROGRESS
        return self.timing.longest_poll if is_in_progress else self.timing.longest_pause


@dataclass(frozen=True)
class Ended:
    """The call has ended, and is bound to the record. `is_written`: the ledger has its end, too."""

    call: Call
    is_written: bool = False


@dataclass(frozen=True)
class Running:
    """The call is in progress, and is bound to the record. `searched`: how long it was looked for
    before this look.
    """

    searched: float = 0.0


@dataclass(frozen=True)
class Failed:
    """A request ended with `error`. `left`: the seconds since it left; 0 if it did not."""

    error: KallyAIError
    left: float


@dataclass(frozen=True)
class Waited:
    """A pause is over, or nothing was done yet."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """A look that did not find the call.

    Attributes:
        left: The seconds since the newest request left, after this look; 0 if none did.
        searched: How long the call was looked for before this look.
    """

    left: float = 0.0
    searched: float = 0.0


@dataclass(frozen=True)
class Unlisted(Look):
    """The service certainly does not list the call."""


@dataclass(frozen=True)
class Uncertain(Look):
    """What the service lists does not show whether it has the call."""


@dataclass(frozen=True, kw_only=True)
class Unread(Look):
    """The service could not be asked, because of `error`."""

    error: KallyAIError


Result = Ended | Running | Failed | Waited | Unlisted | Uncertain | Unread


@dataclass(frozen=True)
class Bound:
    """The call is bound to its record, and has ended."""

    call: Call
    is_written: bool


@dataclass(frozen=True)
class Refused:
    """It is certain that no call was placed."""

    error: KallyAIError


@dataclass(frozen=True)
class Unknown:
    """It can't be found out whether the call was placed, or how it ended."""

    error: KallyAIError


@dataclass(frozen=True)
class Send:
    """Send the request, once."""

    state: Sending


@dataclass(frozen=True)
class Wait:
    """Write down what is known, and wait.

    Attributes:
        may_be_placed: Whether the request may have placed the call.
        is_put_off: Whether another request is to follow, so that users may ask why it waits.
    """

    state: Sending
    seconds: float
    may_be_placed: bool = False
    is_put_off: bool = False


@dataclass(frozen=True)
class LookFirst:
    """Look for the call, once. `may_be_placed`: as in `Wait`, to be written down before."""

    state: Sending
    may_be_placed: bool = False


@dataclass(frozen=True)
class SearchUntil:
    """Wait for so many seconds, then look for the call; until the phase is another one."""

    state: Sending
    seconds: float


Step = Bound | Refused | Unknown | Send | Wait | LookFirst | SearchUntil
