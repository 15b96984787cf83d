"""What the operator of a server asks about the calls of all accounts, and does to those of one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kallyai_mcp.calls.ledger import all_accounts, one_account
from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.operator import AuditEntry, CallGroup, Deleted, KnownCall, WantedEntries
from kallyai_mcp.calls.records import AccountKey


@dataclass(frozen=True)
class Admin:
    """A ledger as its operator uses it; `api` is the address of the KallyAI of its accounts.

    All methods raise `LedgerUnavailableError`.
    """

    ledger: Ledger
    api: str

    async def calls(
        self,
        group: CallGroup | None,
        since: datetime | None,
        most: int,
        *,
        until: datetime | None = None,
    ) -> list[KnownCall]:
        """The calls of a group, or for None all: at most so many, the newest first; of those that
        are scheduled, the one that is due first.

        Those that have ended are looked for among all that were asked for between two times.
        """
        if group is not None and all_accounts.has_index(group):
            return await self.ledger.read(all_accounts.open_calls, group, most)
        found: list[KnownCall] = []
        position: all_accounts.Position | None = all_accounts.before(until)
        while position is not None and len(found) < most:
            page = await self.ledger.read(all_accounts.calls_before, position, _seconds(since))
            found += [call for call in page.calls if group is None or call.state == group]
            position = page.last
        return found[:most]

    async def audit(self, wanted: WantedEntries, most: int) -> list[AuditEntry]:
        """The newest entries of the audit trail that are wanted, the newest first."""
        return await self.ledger.read(all_accounts.audit_entries, self.api, wanted, most)

    async def accounts_like(self, beginning: str) -> list[str]:
        """The ids of the accounts that begin so, at most two."""
        return await self.ledger.read(all_accounts.accounts_like, self.api, beginning)

    async def counts(self, account: str) -> dict[str, int]:
        """How many rows the account has in each table."""
        return await self.ledger.read(one_account.counts, self._key(account))

    async def export(self, account: str) -> dict[str, list[dict[str, Any]]]:
        """All rows of the account, by table."""
        found: dict[str, list[dict[str, Any]]] = {}
        for table in one_account.tables():
            rows = found[table] = []
            while page := await self._page(account, table, len(rows)):
                rows += page
        return found

    async def check_none_runs(self, account: str) -> None:
        """Raise `AccountInUseError` if a call of the account is in progress."""
        await self.ledger.read(one_account.check_none_runs, self._key(account))

    async def delete(self, account: str) -> Deleted:
        """Delete all rows of the account. What stays for a day of calls that the same request could
        place again are hashes.

        Raises:
            AccountInUseError: A call of it is in progress. What was deleted before stays so.
        """
        key = self._key(account)
        deleted = Deleted(0, 0, is_more=True)
        while deleted.is_more:
            deleted = deleted.then(await self.ledger.write(key, one_account.delete_some, key))
        return deleted

    async def _page(self, account: str, table: str, first: int) -> list[dict[str, Any]]:
        return await self.ledger.read(one_account.page, self._key(account), table, first)

    def _key(self, account: str) -> AccountKey:
        return AccountKey(self.api, account)


def _seconds(since: datetime | None) -> float:
    return since.timestamp() if since is not None else 0.0
