"""The ledger: what is on disk before a request leaves, so that nothing is dialled twice and no outcome is lost.

One interface, so that processes on one machine can share a file and many machines something else.
"""

from datetime import datetime, timedelta
from typing import Protocol

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.policy import CallPolicy, Consent
from kallyai_mcp.calls.records import AccountKey, AuditEntry, CallRecord, CallState


class LedgerUnavailableError(KallyAIError):
    """The ledger can't be read or written, so no call may be placed (`ledger_unavailable`)."""

    default_code = "ledger_unavailable"


class Ledger(Protocol):
    """Records of calls, shared by all processes that work for the same user.

    Each method is one transaction: when it returns, it has happened for every process, and survives a crash. All of
    them raise `LedgerUnavailableError` when that can't be had.
    """

    async def enter(
        self,
        record: CallRecord,
        *,
        redial: bool,
        recent: timedelta,
        policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
        consent: Consent | None = None,
    ) -> tuple[CallRecord, bool]:
        """Write a call down, unless the same one may not be placed again yet, or the guard rails forbid it.

        The first is so while the same submission is under way or its outcome unknown, while its outcome was not handed
        out, and for `recent` after it succeeded; then the rails don't matter, and with `redial` it never is. A cap
        counts the account's records but the refused ones. A call written down, and one forbidden, is also written into
        the audit trail, with `consent`.

        Returns:
            The record that counts, and whether it is the new one.

        Raises:
            PolicyError: The rails forbid it; of several caps it names the one that is open again last.
        """
        ...

    async def admit(self, record: CallRecord, *, policy: CallPolicy, consent: Consent | None = None) -> None:
        """Raise `PolicyError` as `enter` would at this moment for a call that is new, but write nothing else down."""
        ...

    async def same(self, record: CallRecord, *, recent: timedelta) -> CallRecord | None:
        """The record on whose account `enter` would not write `record` down without `redial`, or None."""
        ...

    async def last_rung(self, scope: AccountKey, number: str) -> datetime | None:
        """When the last call to `number` (E.164) was placed, or may have been; None when no record tells."""
        ...

    async def audit(self, scope: AccountKey, limit: int) -> list[AuditEntry]:
        """The newest entries of the audit trail, the newest first."""
        ...

    async def find(self, scope: AccountKey, id_: str) -> CallRecord | None:
        """The record with this `tracking_id` or `call_id`."""
        ...

    async def unsettled(self, scope: AccountKey) -> list[CallRecord]:
        """The records under way and those whose outcome is unknown, newest first."""
        ...

    async def send(self, tracking_id: str, owner: str, now: datetime) -> bool:
        """Note that a request is about to leave; False when it must not: the record is another's, or has ended."""
        ...

    async def lose(self, tracking_id: str, now: datetime) -> None:
        """Note that an answer was lost."""
        ...

    async def claim(self, tracking_id: str, call_id: str, *, sure: bool) -> bool:
        """Note which call of the service it is; False when another record has that call.

        With `sure` (the service itself has answered with it) a record that had only found it in the list gives it back,
        and is under way again without an owner, for whoever adopts it.
        """
        ...

    async def end(
        self,
        tracking_id: str,
        state: CallState,
        now: datetime,
        *,
        call: Call | None = None,
        error: KallyAIError | None = None,
    ) -> None:
        """Note how it ended. An outcome once written down stays; `UNKNOWN` may be followed by one."""
        ...

    async def hand_out(self, tracking_id: str) -> None:
        """Note that an agent has been told how it ended."""
        ...

    async def take_back(self, tracking_id: str) -> None:
        """Note that the agent did not hear how it ended after all."""
        ...

    async def beat(self, owner: str, now: datetime) -> None:
        """Note that `owner` is alive."""
        ...

    async def leave(self, owner: str) -> None:
        """Note that `owner` is gone, so that others need not wait until it is silent."""
        ...

    async def has_orphans(self, owner: str, now: datetime, silence: timedelta) -> bool:
        """Whether there is anything that `adopt` would find, in whatever scope."""
        ...

    async def adopt(self, scope: AccountKey, owner: str, now: datetime, silence: timedelta) -> list[CallRecord]:
        """Take over the records under way whose owner has gone or been silent for `silence`; returns them."""
        ...

    async def forget(self, before: datetime) -> None:
        """Remove records that were placed, and entries of the audit trail that were made, before then."""
        ...

    async def aclose(self) -> None:
        """Close what is open."""
        ...
