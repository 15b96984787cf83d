"""Whether the user's yes to a list also covers that it goes on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.calls.call_lists import LONGEST, CallList
from kallyai_mcp.calls.changes import View
from kallyai_mcp.calls.errors import ConsentOutdatedError
from kallyai_mcp.calls.opt_outs import OptOut
from kallyai_mcp.calls.policy import Consent, RiskFlag
from kallyai_mcp.calls.requests import last_call


class Coverage(Enum):
    """Whether a list may go on with the yes that it has, and why not."""

    COVERED = "the user has agreed to the reasons of each number"
    NOT_NEEDED = "no number has a reason to ask"
    ASKED_EACH_TIME = "a setting says whether the user is asked, whatever they have said before"
    NO_YES = "the user was not asked when the list was begun"
    TOO_LATE = "the two hours of the list are over"
    CALLED_SINCE = "a number was called since the user has agreed"
    NEW_REASON = "a number has a reason that the user was not told"


@dataclass(frozen=True)
class Remaining:
    """A candidate who may be called if the list goes on.

    Attributes:
        last_call: When the number was called last; None for never.
        reasons: The reasons to ask the user, as they are now.
    """

    number: str
    last_call: datetime | None = None
    reasons: tuple[RiskFlag, ...] = ()
    opt_out: OptOut | None = None

    def has_reason(self) -> bool:
        """Whether the user would be asked about this candidate."""
        return bool(self.reasons) or self.opt_out is not None

    def was_called_since(self, agreed_at: datetime) -> bool:
        """Whether the number was called after the user has agreed."""
        return self.last_call is not None and self.last_call > agreed_at

    def is_as_told(self, consent: Consent) -> bool:
        """Whether the user was told each reason, and the opt-out, of this number."""
        agreed = consent.reasons.get(self.number, ())
        if self.opt_out is not None and self.opt_out.id not in consent.opt_outs:
            return False
        return set(self.reasons) <= set(agreed)


def coverage(
    call_list: CallList, remaining: Sequence[Remaining], now: datetime, *, asks: str
) -> Coverage:
    """Whether the last yes to a list covers its `remaining` candidates; `asks` is the setting
    `KALLYAI_CONFIRM`.
    """
    if asks != "auto":
        return Coverage.ASKED_EACH_TIME
    if not any(one.has_reason() for one in remaining):
        return Coverage.NOT_NEEDED
    if not call_list.consent.is_yes:
        return Coverage.NO_YES
    if now > call_list.asked_at + LONGEST:
        return Coverage.TOO_LATE
    if any(one.was_called_since(call_list.asked_at) for one in remaining):
        return Coverage.CALLED_SINCE
    if not all(one.is_as_told(call_list.consent) for one in remaining):
        return Coverage.NEW_REASON
    return Coverage.COVERED


def first_consent(view: View, call_list: CallList, usage: Statistics | None) -> Consent:
    """The consent of a list that goes on without a new one, with the first call that it was given
    for.

    Raises:
        ConsentOutdatedError: It does not cover the candidates to come.
    """
    remaining = [_remaining(view, submission, usage) for submission in call_list.to_come]
    found = coverage(call_list, remaining, view.now, asks=view.policy.settings.asks)
    if found is not Coverage.COVERED:
        raise ConsentOutdatedError(f"The user has to be asked: {found.value}")
    first_call = call_list.consent.first_call or call_list.records[0].tracking_id
    return replace(call_list.consent, first_call=first_call)


def _remaining(view: View, submission: Submission, usage: Statistics | None) -> Remaining:
    """A candidate with the reasons that the user would be told now."""
    number = submission.respondent_phone
    called_at = last_call(view, number)
    reasons = view.policy.risk_flags(submission, usage, now=view.now, last_call=called_at)
    return Remaining(number, called_at, reasons, view.opt_out(number))
