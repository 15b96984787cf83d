"""Who asked not to be called again, and whether such a number may be called all the same.

An opt-out is in the ledger until the user removes it, longer than the call in which it was said.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.errors import ConsentOutdatedError, OptedOutError
from kallyai_mcp.calls.numbers import zone_of_callee
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.speech.sentences import LONGEST_QUOTE, Words
from kallyai_mcp.calls.speech.spoken import Spoken

if TYPE_CHECKING:
    from kallyai_mcp.calls.records import CallRecord

_ON_KALLYAIS_LIST = "suppression_violation"
"""The code with which KallyAI refuses to call a number that is on its do-not-call list."""


class OptOutReason(StrEnum):
    """What shows that a number is not to be called again."""

    ASKED = "asked"  # they said so in a call
    SUPPRESSED = _ON_KALLYAIS_LIST  # KallyAI refused to call it


@dataclass(frozen=True)
class OptOut:
    """A number (E.164) that is not to be called again.

    Attributes:
        day: When it was said, or when KallyAI refused: YYYY-MM-DD.
        call_id: The call in which it was said.
        quote: What they said, at most 200 characters.
    """

    number: str
    day: str
    reason: OptOutReason
    call_id: str | None = None
    quote: str | None = None

    @property
    def id(self) -> str:
        """Names it in a consent: it differs from that of a later opt-out of the same number."""
        return " ".join(filter(None, (self.day, self.reason.value, self.call_id)))

    @property
    def was_said(self) -> bool:
        """Whether they said it themselves."""
        return self.reason is OptOutReason.ASKED

    @property
    def error(self) -> OptedOutError:
        """The error that refuses a call to the number."""
        if not self.was_said:
            return OptedOutError(
                f"KallyAI has this number on its do-not-call list, as it said on {self.day}"
            )
        quote = (self.quote or "").rstrip(". ").replace('"', "'")
        return OptedOutError(f'on {self.day}, they asked not to be called again: "{quote}"')


def opt_out_said(number: str, words: Words, call_id: str, day: str) -> OptOut:
    """The opt-out of somebody who said these words in a call."""
    return OptOut(number, day, OptOutReason.ASKED, call_id, words.quote[:LONGEST_QUOTE])


def opt_out_in(spoken: Spoken, call: Call) -> OptOut | None:
    """The opt-out in the transcript of a call that only KallyAI has.

    None without one, or if KallyAI does not give the number or the time of the call.
    """
    number = call.submission.respondent_phone
    if spoken.opt_out is None or number is None or call.created_at is None:
        return None
    day = _day(call.created_at, zone_of_callee(number, otherwise="UTC"))
    return opt_out_said(number, spoken.opt_out, call.call_id, day)


def opt_out_of(record: "CallRecord", now: datetime) -> OptOut | None:
    """The opt-out that the end of a call shows; `now` is when it has ended."""
    number = record.submission.respondent_phone
    if record.has_error(_ON_KALLYAIS_LIST):
        return OptOut(number, _day(now, record.timezone), OptOutReason.SUPPRESSED)
    words = record.spoken.opt_out if record.spoken is not None else None
    if words is None or record.call_id is None:
        return None
    day = _day(record.created_at or record.asked_at, record.timezone)
    return opt_out_said(number, words, record.call_id, day)


def _day(moment: datetime, zone_name: str) -> str:
    return moment.astimezone(ZoneInfo(zone_name)).date().isoformat()


def replaces(known: OptOut, found: OptOut) -> bool:
    """Whether an opt-out that was found takes the place of one that is known of the same number.

    Words that somebody said count for more than KallyAI's refusal, and newer ones for more than
    older ones.
    """
    if found.was_said is not known.was_said:
        return found.was_said
    return found.day > known.day


class Permission(Enum):
    """Whether a call may be placed."""

    GIVEN = "nobody has opted out, or the user has agreed to this call and knew of it"
    ASK = "the user can be asked, and has to be"
    REFUSED = "no user can be asked about it"


def permission(opt_out: OptOut | None, consent: Consent) -> Permission:
    """Whether a call to a number with this opt-out may be placed with this consent."""
    if opt_out is None:
        return Permission.GIVEN
    if consent.asks_nobody:
        return Permission.REFUSED
    return Permission.GIVEN if opt_out.id in consent.opt_outs else Permission.ASK


def check_permission(opt_out: OptOut | None, consent: Consent) -> None:
    """Raise an error unless a call may be placed.

    Raises:
        OptedOutError: It is not placed.
        ConsentOutdatedError: The user has to be asked.
    """
    found = permission(opt_out, consent)
    if opt_out is None or found is Permission.GIVEN:
        return
    if found is Permission.REFUSED:
        raise opt_out.error
    raise ConsentOutdatedError("This number has opted out, so the user has to be asked")
