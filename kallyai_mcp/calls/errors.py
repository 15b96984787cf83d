"""The errors of placing calls that their callers tell apart."""

from kallyai_mcp.api.errors import KallyAIError


class LedgerUnavailableError(KallyAIError, code="ledger_unavailable"):
    """The ledger can't be read or written, so no call is placed (code `ledger_unavailable`)."""


class ConsentOutdatedError(KallyAIError, code="consent_outdated"):
    """The consent no longer fits.

    The number was called since it was given, or its confirmation was used already.
    """
