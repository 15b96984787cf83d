"""What the operator of a server asks about the calls of all accounts, and does to those of one."""

from dataclasses import dataclass
from datetime import datetime

from kallyai_mcp.calls.ledger import all_accounts
from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.operator import AuditEntry, CallGroup, KnownCall
from kallyai_mcp.calls.records import AccountKey


@dataclass(frozen=True)
class Admin:
    """A ledger as its operator uses it; `api` is the address of the KallyAI of its accounts.

    All methods raise `LedgerUnavailableError`.
    """

    ledger: Ledger
    api: str

    async def calls(
        self, group: CallGroup | None, since: datetime | None, most: int
    ) -> list[KnownCall]:
        """The calls of a group, or for None all: at most so many, the newest first; of those that
        are scheduled, the one that is due first.

        Those that have ended are looked for among all that were asked for `since` then.
        """
        if group is not None and all_accounts.has_index(group):
            return await self.ledger.read(all_accounts.open_calls, group, most)
        found: list[KnownCall] = []
        position: all_accounts.Position | None = all_accounts.Position()
        while position is not None and len(found) < most:
            page = await self.ledger.read(all_accounts.calls_before, position, _seconds(since))
            found += [call for call in page.calls if group is None or call.state == group]
            position = page.last
        return found[:most]

    async def audit(
        self, account: str | None, since: datetime | None, most: int
    ) -> list[AuditEntry]:
        """The newest entries of the audit trail `since` then, of one account or for None of all,
        the newest first.
        """
        key = AccountKey(self.api, account) if account is not None else None
        return await self.ledger.read(all_accounts.audit_entries, key, _seconds(since), most)

    async def accounts_like(self, beginning: str) -> list[str]:
        """The ids of the accounts that begin so, at most two."""
        return await self.ledger.read(all_accounts.accounts_like, self.api, beginning)


def _seconds(since: datetime | None) -> float:
    return since.timestamp() if since is not None else 0.0
