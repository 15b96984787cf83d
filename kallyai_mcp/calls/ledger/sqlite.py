"""The ledger in one SQLite file, shared by all processes of one user on one machine."""

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kallyai_mcp.api.errors import KallyAIError, PolicyError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.ledger.sqlite_file import SqliteFile
from kallyai_mcp.calls.policy import CallPolicy, Consent, Limit, last_to_open
from kallyai_mcp.calls.records import (
    PLACED,
    AccountKey,
    AuditEntry,
    CallRecord,
    CallState,
    audit_document,
    audit_from,
    end_document,
    from_document,
    refused_by,
    to_document,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    tracking_id TEXT PRIMARY KEY,
    api TEXT NOT NULL,
    account TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE,
    submission TEXT NOT NULL,
    timezone TEXT NOT NULL,
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    placed_at REAL NOT NULL,
    sent_at REAL,
    lost_at REAL,
    ended_at REAL,
    call_id TEXT,
    outcome TEXT,
    error TEXT,
    handed_out INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS calls_by_call_id ON calls (api, account, call_id);
CREATE INDEX IF NOT EXISTS calls_by_fingerprint ON calls (api, account, fingerprint);
CREATE INDEX IF NOT EXISTS calls_unsettled ON calls (api, account, placed_at)
    WHERE state IN ('prepared', 'sent', 'unknown');
CREATE INDEX IF NOT EXISTS calls_by_time ON calls (api, account, placed_at);
CREATE INDEX IF NOT EXISTS calls_by_number
    ON calls (api, account, json_extract(submission, '$.respondent_phone'), placed_at);
CREATE TABLE IF NOT EXISTS owners (owner TEXT PRIMARY KEY, beat_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
    at REAL NOT NULL,
    api TEXT NOT NULL,
    account TEXT NOT NULL,
    tracking_id TEXT NOT NULL,
    number TEXT NOT NULL,
    asked_by TEXT,
    how TEXT,
    oddities TEXT NOT NULL,
    outcome TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_by_account ON audit (api, account, at);
CREATE INDEX IF NOT EXISTS audit_by_time ON audit (at);
"""
"""Done at each opening, so a file of an older version gets what it lacks. What is there is never changed: servers of an
older version, which may have the file open too, know nothing of it."""

_SAME = """
SELECT * FROM calls WHERE api = ? AND account = ? AND fingerprint = ? AND (
    state IN ('prepared', 'sent', 'unknown')
    OR state = 'ended' AND (handed_out = 0 OR (json_extract(outcome, '$.status') = 'success' AND ended_at > ?))
) ORDER BY placed_at DESC LIMIT 1
"""

_RUNG = """
SELECT placed_at FROM calls WHERE api = :api AND account = :account AND state != 'refused' AND placed_at > :since
"""

_RUNG_NUMBER = f"{_RUNG} AND json_extract(submission, '$.respondent_phone') = :number"

_ORPHANS = """
SELECT * FROM calls LEFT JOIN owners USING (owner)
WHERE state IN ('prepared', 'sent') AND owner != ? AND coalesce(beat_at, 0) <= ?
"""


class SqliteLedger:
    """A ledger in a file that only its owner can read (mode 0600 where there are POSIX permissions).

    The file is made when something is first written; until then every answer is "nothing there". `synchronous=FULL`:
    what a method has written survives a loss of power.

    Args:
        path: The file; its folder is made with it.
    """

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA)

    async def enter(
        self,
        record: CallRecord,
        *,
        redial: bool,
        recent: timedelta,
        policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
        consent: Consent | None = None,
    ) -> tuple[CallRecord, bool]:
        """See `Ledger.enter`."""

        def work(db: sqlite3.Connection) -> tuple[CallRecord, bool] | PolicyError:
            if not redial and (row := db.execute(_SAME, _same(record, recent)).fetchone()) is not None:
                return from_document(dict(row)), False
            if (hit := _hit(db, record, policy)) is not None:
                _note(db, record, consent, refused_by(hit.setting))
                return hit
            _insert(db, "calls", to_document(record))
            _note(db, record, consent, PLACED)
            _beat(db, record.owner, record.placed_at)
            return record, True

        entered = await self._file.write(work)
        if isinstance(entered, PolicyError):
            raise entered
        return entered

    async def admit(self, record: CallRecord, *, policy: CallPolicy, consent: Consent | None = None) -> None:
        """See `Ledger.admit`."""

        def work(db: sqlite3.Connection) -> PolicyError | None:
            if (hit := _hit(db, record, policy)) is not None:
                _note(db, record, consent, refused_by(hit.setting))
            return hit

        if (hit := await self._file.write(work)) is not None:
            raise hit

    async def same(self, record: CallRecord, *, recent: timedelta) -> CallRecord | None:
        """See `Ledger.same`."""
        rows = await self._file.read(_SAME, _same(record, recent))
        return from_document(dict(rows[0])) if rows else None

    async def last_rung(self, scope: AccountKey, number: str) -> datetime | None:
        """See `Ledger.last_rung`."""
        values = {"api": scope.api, "account": scope.account, "number": number, "since": 0}
        rows = await self._file.read(f"{_RUNG_NUMBER} ORDER BY placed_at DESC LIMIT 1", values)
        return datetime.fromtimestamp(rows[0]["placed_at"], UTC) if rows else None

    async def audit(self, scope: AccountKey, limit: int) -> list[AuditEntry]:
        """See `Ledger.audit`."""
        rows = await self._file.read(
            "SELECT * FROM audit WHERE api = ? AND account = ? ORDER BY at DESC, rowid DESC LIMIT ?",
            (scope.api, scope.account, limit),
        )
        return [audit_from(dict(row), row["outcome"]) for row in rows]

    async def find(self, scope: AccountKey, id_: str) -> CallRecord | None:
        """See `Ledger.find`."""
        if not id_.isprintable():  # half a surrogate pair is no text to SQLite, and no id has one
            return None
        rows = await self._file.read(
            "SELECT * FROM calls WHERE api = ? AND account = ? AND (tracking_id = ? OR call_id = ?)",
            (scope.api, scope.account, id_, id_),
        )
        return from_document(dict(rows[0])) if rows else None

    async def unsettled(self, scope: AccountKey) -> list[CallRecord]:
        """See `Ledger.unsettled`."""
        rows = await self._file.read(
            "SELECT * FROM calls WHERE api = ? AND account = ? AND state IN ('prepared', 'sent', 'unknown') "
            "ORDER BY placed_at DESC",
            (scope.api, scope.account),
        )
        return [from_document(dict(row)) for row in rows]

    async def send(self, tracking_id: str, owner: str, now: datetime) -> bool:
        """See `Ledger.send`."""
        return await self._file.change(
            "UPDATE calls SET state = 'sent', sent_at = coalesce(sent_at, ?) "
            "WHERE tracking_id = ? AND owner = ? AND state IN ('prepared', 'sent')",
            (now.timestamp(), tracking_id, owner),
        )

    async def lose(self, tracking_id: str, now: datetime) -> None:
        """See `Ledger.lose`."""
        await self._file.change(
            "UPDATE calls SET lost_at = coalesce(lost_at, ?) WHERE tracking_id = ?", (now.timestamp(), tracking_id)
        )

    async def claim(self, tracking_id: str, call_id: str, *, sure: bool) -> bool:
        """See `Ledger.claim`."""

        def work(db: sqlite3.Connection) -> bool:
            if sure:
                db.execute(
                    "UPDATE calls SET call_id = NULL, outcome = NULL, error = NULL, ended_at = NULL, handed_out = 0, "
                    "state = 'sent', owner = '' "
                    "WHERE call_id = ? AND tracking_id != ? AND lost_at IS NOT NULL "
                    "AND (api, account) = (SELECT api, account FROM calls WHERE tracking_id = ?)",
                    (call_id, tracking_id, tracking_id),
                )
            try:
                db.execute("UPDATE calls SET call_id = ? WHERE tracking_id = ?", (call_id, tracking_id))
            except sqlite3.IntegrityError:
                return False
            return True

        return await self._file.write(work)

    async def end(
        self,
        tracking_id: str,
        state: CallState,
        now: datetime,
        *,
        call: Call | None = None,
        error: KallyAIError | None = None,
    ) -> None:
        """See `Ledger.end`."""
        ending = end_document(call, error)
        await self._file.change(
            "UPDATE calls SET state = ?, ended_at = ?, outcome = ?, error = ? "
            "WHERE tracking_id = ? AND state IN ('prepared', 'sent', 'unknown')",
            (state, now.timestamp(), ending["outcome"], ending["error"], tracking_id),
        )

    async def hand_out(self, tracking_id: str) -> None:
        """See `Ledger.hand_out`."""
        await self._file.change(
            "UPDATE calls SET handed_out = 1 WHERE tracking_id = ? AND state IN ('ended', 'refused')",
            (tracking_id,),
        )

    async def take_back(self, tracking_id: str) -> None:
        """See `Ledger.take_back`."""
        await self._file.change("UPDATE calls SET handed_out = 0 WHERE tracking_id = ?", (tracking_id,))

    async def beat(self, owner: str, now: datetime) -> None:
        """See `Ledger.beat`."""
        await self._file.write(lambda db: _beat(db, owner, now))

    async def leave(self, owner: str) -> None:
        """See `Ledger.leave`."""
        await self._file.change("DELETE FROM owners WHERE owner = ?", (owner,))

    async def has_orphans(self, owner: str, now: datetime, silence: timedelta) -> bool:
        """See `Ledger.has_orphans`."""
        return bool(await self._file.read(f"{_ORPHANS} LIMIT 1", (owner, (now - silence).timestamp())))

    async def adopt(self, scope: AccountKey, owner: str, now: datetime, silence: timedelta) -> list[CallRecord]:
        """See `Ledger.adopt`."""
        question = (owner, (now - silence).timestamp(), scope.api, scope.account)

        def work(db: sqlite3.Connection) -> list[CallRecord]:
            _beat(db, owner, now)
            orphans = db.execute(f"{_ORPHANS} AND api = ? AND account = ?", question).fetchall()
            for row in orphans:
                db.execute("UPDATE calls SET owner = ? WHERE tracking_id = ?", (owner, row["tracking_id"]))
            return [from_document(dict(row) | {"owner": owner}) for row in orphans]

        return await self._file.write(work)

    async def forget(self, before: datetime) -> None:
        """See `Ledger.forget`."""
        moment = before.timestamp()
        if await self._file.read("SELECT 1 FROM calls WHERE placed_at < ? LIMIT 1", (moment,)):
            await self._file.change("DELETE FROM calls WHERE placed_at < ?", (moment,))
        if await self._file.read("SELECT 1 FROM audit WHERE at < ? LIMIT 1", (moment,)):
            await self._file.change("DELETE FROM audit WHERE at < ?", (moment,))
        if await self._file.read("SELECT 1 FROM owners WHERE beat_at < ? LIMIT 1", (moment,)):
            await self._file.change("DELETE FROM owners WHERE beat_at < ?", (moment,))

    async def aclose(self) -> None:
        """See `Ledger.aclose`."""
        await self._file.aclose()


def _beat(db: sqlite3.Connection, owner: str, now: datetime) -> None:
    db.execute(
        "INSERT INTO owners VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET beat_at = excluded.beat_at",
        (owner, now.timestamp()),
    )


def _same(record: CallRecord, recent: timedelta) -> tuple[Any, ...]:
    """What `_SAME` asks with."""
    since = (record.placed_at - recent).timestamp()
    return record.scope.api, record.scope.account, record.fingerprint, since


def _hit(db: sqlite3.Connection, record: CallRecord, policy: CallPolicy) -> PolicyError | None:
    """What forbids `record`, if anything does."""
    if (ban := policy.ban(record.submission.respondent_phone)) is not None:
        return ban
    return last_to_open(hit for cap in policy.caps() if (hit := _reached(db, record, cap)) is not None)


def _reached(db: sqlite3.Connection, record: CallRecord, cap: Limit) -> PolicyError | None:
    values = {
        "api": record.scope.api,
        "account": record.scope.account,
        "number": record.submission.respondent_phone,
        "since": (record.placed_at - cap.window).timestamp(),
        "limit": cap.limit,
    }
    newest = f"{_RUNG_NUMBER if cap.per_number else _RUNG} ORDER BY placed_at DESC LIMIT :limit"
    rows = db.execute(newest, values).fetchall()
    if len(rows) < cap.limit:
        return None
    oldest = datetime.fromtimestamp(rows[-1]["placed_at"], UTC) if rows else None
    return cap.hit(oldest, now=record.placed_at, timezone=record.timezone)


def _note(db: sqlite3.Connection, record: CallRecord, consent: Consent | None, outcome: str) -> None:
    """Write a line of the audit trail."""
    scope = {"api": record.scope.api, "account": record.scope.account}
    _insert(db, "audit", audit_document(record, consent) | scope | {"outcome": outcome})


def _insert(db: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> None:
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 - our names
