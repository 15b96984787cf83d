"""The errors of placing calls that their callers tell apart."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kallyai_mcp.api.errors import KallyAIError, NumberRefusedError, PolicyError

if TYPE_CHECKING:
    from kallyai_mcp.calls.records import CallRecord


class LedgerUnavailableError(KallyAIError, code="ledger_unavailable"):
    """The ledger can't be read or written, so no call is placed (code `ledger_unavailable`)."""


class ConsentOutdatedError(KallyAIError, code="consent_outdated"):
    """The consent no longer fits.

    The number was called since it was given, or its confirmation was used already.
    """


class AccountInUseError(Exception):
    """A call of the account is in progress, so its records can't be deleted."""


class NotCopiedError(Exception):
    """A ledger can't be copied, for the reason in the message."""


class RecordDeletedError(KallyAIError, code="record_deleted"):
    """The same call was placed within the last day, and its record was deleted since."""

    def __init__(self) -> None:
        super().__init__("The same call was placed within a day, and its record was deleted")


OPTED_OUT = "opted_out"
"""What stands in place of a setting's name where a number has opted out."""


@dataclass(eq=False, repr=False, kw_only=True)
class OptedOutError(PolicyError, code=OPTED_OUT):
    """The callee asked not to be called again, and the user has not agreed to this call."""

    setting: str = OPTED_OUT


class NewerSchemaError(LedgerUnavailableError, code="outdated"):
    """A newer version has changed the ledger so that this one can't use it."""


class ConstraintError(LedgerUnavailableError):
    """A unique index, which is a rule, or a record of a newer version refused a transaction, which
    was rolled back.
    """


class LookFirstError(Exception):
    """KallyAI has to be asked about `record` before the call is placed, so nothing was written."""

    def __init__(self, record: "CallRecord") -> None:
        super().__init__("the earlier call has to be looked at first")
        self.record = record


_OF_ONE_NUMBER = ("KALLYAI_DENY_NUMBERS", "KALLYAI_ALLOW_NUMBERS", OPTED_OUT)
"""The settings that may refuse calls to one number and allow those to another one, and an
opt-out.
"""


def refuses_one_number(error: KallyAIError) -> bool:
    """Whether an error refuses calls to one number, and not all calls."""
    if isinstance(error, PolicyError):
        return error.setting in _OF_ONE_NUMBER
    return isinstance(error, NumberRefusedError)
