"""The rows of calls in the ledger's tables: how the transactions read, write, and change them."""

import json
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kallyai_mcp.api.errors import sanitize
from kallyai_mcp.calls.decisions import offset_at
from kallyai_mcp.calls.events import ServiceTime
from kallyai_mcp.calls.ledger.base import Row, Tx
from kallyai_mcp.calls.ledger.columns import if_any
from kallyai_mcp.calls.ledger.conditions import MINE, WAS_ALLOWED, list_ids, state_in, state_not_in
from kallyai_mcp.calls.ledger.emptied import is_emptied
from kallyai_mcp.calls.ledger.record_rows import from_row, spoken_from_json
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import (
    ACTIVE,
    NEVER_PLACED,
    NOT_PLACED,
    AccountKey,
    CallRecord,
    CallState,
    as_it_is_at,
)
from kallyai_mcp.calls.tracking_ids import is_tracking_id
from kallyai_mcp.clock import moment

_log = logging.getLogger(__name__)


def select(tx: Tx, account: AccountKey, condition: str, **values: Any) -> list[CallRecord]:
    """The account's records that meet a condition and that this version can read."""
    return readable(
        tx,
        tx.rows(f"SELECT * FROM calls WHERE {MINE} AND {condition}", **account.columns, **values),
    )


def insert(tx: Tx, table: str, row: Row) -> None:
    """Insert a row of an account by column names."""
    tx.require_lock(AccountKey(row["api"], row["account"]))
    names = ", ".join(row)
    places = ", ".join(f":{name}" for name in row)
    tx.run(f"INSERT INTO {table} ({names}) VALUES ({places})", **row)


def readable(tx: Tx, rows: Iterable[Row]) -> list[CallRecord]:
    """The records in `rows` as they are now (`records.as_it_is_at`)."""
    now = moment(tx.now)
    expires_before = moment(tx.expires_before)
    return [as_it_is_at(record, now, expires_before) for record in as_written(rows)]


def as_written(rows: Iterable[Row]) -> list[CallRecord]:
    """The records in `rows`. Those that were emptied are left out, and those that this version
    can't read, which are logged.
    """
    records = []
    for row in rows:
        if is_emptied(row):
            continue
        try:
            records.append(from_row(row))
        except (ValueError, KeyError, TypeError) as error:
            log_unreadable(row["tracking_id"], type(error).__name__)
    return records


@lru_cache(maxsize=1000)  # so that each is logged once
def log_unreadable(tracking_id: str, why: str) -> None:
    """Say that this version can't read a record, or a list, of this id."""
    _log.warning("The record %s of the ledger can't be read and is skipped: %s", tracking_id, why)


def find(tx: Tx, account: AccountKey, id_: str) -> CallRecord | None:
    """The record of this account with this `tracking_id` or `call_id`."""
    name = "tracking_id" if is_tracking_id(id_) else "call_id"
    return next(iter(select(tx, account, f"{name} = :id", id=id_)), None)


def find_ended(tx: Tx, account: AccountKey, call_ids: Collection[str]) -> dict[str, CallRecord]:
    """The account's records with these `call_id`s that have an outcome, by `call_id`."""
    listed, names = list_ids(call_ids)
    found = select(tx, account, f"state = 'ended' AND call_id IN ({listed})", **names)
    return {record.call_id: record for record in found if record.call_id is not None}


def list_unsettled(tx: Tx, account: AccountKey) -> list[CallRecord]:
    """The account's open records, those whose outcome is unknown, and scheduled calls that were not
    placed.

    The last ones are in it until they are delivered; after that, the newest 20 of a day.
    """
    # SQLite uses its indexes only for these words, in this order.
    open_or_unknown = state_in(*ACTIVE, CallState.UNKNOWN, CallState.SCHEDULED)
    never_placed = f"not_before IS NOT NULL AND {state_in(*NEVER_PLACED)}"
    unsettled = select(tx, account, open_or_unknown)
    unsettled += select(tx, account, f"{never_placed} AND delivered_at IS NULL")
    recent = (
        f"{never_placed} AND delivered_at IS NOT NULL AND ended_at > :since ORDER BY ended_at "
        "DESC LIMIT 20"
    )
    return unsettled + select(tx, account, recent, since=tx.now - 86_400)


_LOOKED_AT = 100
"""How many of the planned calls that ended last are looked at for news."""


def list_untold_plans(tx: Tx, account: AccountKey) -> list[CallRecord]:
    """The account's planned calls that are over, and that nobody was told of, the oldest first;
    among those that ended last.
    """
    # SQLite uses the index only for these words.
    newest = (
        f"SELECT * FROM calls WHERE {MINE} AND not_before IS NOT NULL AND ended_at IS NOT NULL "
        "ORDER BY ended_at DESC LIMIT :most"
    )
    rows = tx.rows(
        f"SELECT * FROM ({newest}) AS newest WHERE delivered_at IS NULL ORDER BY ended_at",
        most=_LOOKED_AT,
        **account.columns,
    )
    return readable(tx, rows)


def list_newest(tx: Tx, account: AccountKey, limit: int) -> list[CallRecord]:
    """The account's `limit` newest records, newest first."""
    return select(tx, account, "TRUE ORDER BY placed_at DESC LIMIT :limit", limit=limit)


@dataclass(frozen=True)
class History:
    """What the ledger knows of past calls, for a page of KallyAI's list.

    Attributes:
        newest: The newest records, the newest first.
        ended: The records with an outcome of the calls that were asked for, by `call_id`.
    """

    newest: list[CallRecord]
    ended: dict[str, CallRecord]


def history(tx: Tx, account: AccountKey, newest: int, call_ids: Collection[str]) -> History:
    """The account's `newest` records, and those of these calls that have an outcome."""
    return History(list_newest(tx, account, newest), find_ended(tx, account, call_ids))


def list_related(tx: Tx, account: AccountKey, number: str) -> list[CallRecord]:
    """The newest calls to a number, and the newest about the booking of another call; newest
    first.
    """
    newest = f"SELECT * FROM calls WHERE {MINE} AND {{}} ORDER BY placed_at DESC LIMIT 200"
    related = (
        f"SELECT * FROM ({newest.format('number = :number')}) AS of_number "
        f"UNION SELECT * FROM ({newest.format('about_call_id IS NOT NULL')}) AS about_bookings "
        "ORDER BY placed_at DESC"
    )
    return readable(tx, tx.rows(related, number=number, **account.columns))


def write_audit(
    tx: Tx, record: CallRecord, consent: Consent, *, refused_by: str | None = None
) -> None:
    """Write a line of the audit trail: a call was placed or scheduled, or `refused_by` a
    setting.
    """
    outcome = "placed" if record.is_active else "scheduled"
    row = {
        "at": tx.now,
        **record.account.columns,
        "tracking_id": record.tracking_id,
        "number": record.submission.respondent_phone,
        **_consent_columns(consent),
        "outcome": outcome if refused_by is None else f"refused:{refused_by}",
    }
    insert(tx, "audit", row)


def _consent_columns(consent: Consent) -> Row:
    """The columns of the audit trail that say how the user has agreed."""
    return {
        "asked_by": if_any(sanitize, consent.asked_by),
        "how": _how_agreed(consent),
        "risk_flags": json.dumps(consent.risk_flags),
    }


def _how_agreed(consent: Consent) -> str | None:
    """How the user has agreed; None if no consent was looked at.

    Where a list has gone on, that names the first call for which the user did.
    """
    if not consent.is_looked_at:
        return None
    if consent.first_call is None:
        return consent.how
    return f"{consent.how} for {consent.first_call}"


def audit(tx: Tx, account: AccountKey, limit: int) -> list[Row]:
    """The newest `limit` entries of the account's audit trail, newest first; a refused call has no
    `tracking_id`. `disclosed` says whether KallyAI said that it is an AI; None without a
    transcript.
    """
    tracking_id = f"CASE WHEN {WAS_ALLOWED} THEN tracking_id END AS tracking_id"
    spoken = "(SELECT spoken FROM calls WHERE calls.tracking_id = audit.tracking_id) AS spoken"
    columns = f"at, number, outcome, {tracking_id}, asked_by, how, risk_flags, {spoken}"
    newest = f"SELECT {columns} FROM audit WHERE {MINE} ORDER BY at DESC LIMIT :limit"
    found = tx.rows(newest, limit=limit, **account.columns)
    return [_audit_entry(row) for row in found]


def _audit_entry(row: Row) -> Row:
    spoken = if_any(spoken_from_json, row.pop("spoken"))
    disclosure = spoken.disclosure if spoken is not None else None
    return row | {
        "at": moment(row["at"]),
        "risk_flags": json.loads(row["risk_flags"]),
        "disclosed": disclosure.said if disclosure is not None else None,
    }


def mark_delivered(tx: Tx, records: Collection[CallRecord], *, delivered: bool) -> None:
    """Note that the outcomes of these calls were delivered, or that they were not `delivered` after
    all.

    A record is not changed if its state in the ledger differs from the one that was delivered. This
    locks no account.
    """
    for record in records:
        if not record.is_open:
            delivery = (
                "UPDATE calls SET delivered_at = :at WHERE tracking_id = :id AND state = :state"
            )
            tx.run(
                delivery,
                at=tx.now if delivered else None,
                id=record.tracking_id,
                state=record.state.value,
            )


def competitors(
    tx: Tx, record: CallRecord, service_time: ServiceTime
) -> tuple[list[CallRecord], set[str], float]:
    """The other records of an account with the number of `record`, which the service's call of it
    may belong to.

    Returns those whose call is not known, the `call_id`s of the others, and the offset of the
    clocks now, 0 if unknown.
    """
    same_number = "number = :number AND tracking_id <> :id AND call_id"
    values = {"number": record.submission.respondent_phone, "id": record.tracking_id}
    may_be_placed = f"sent_at IS NOT NULL AND {state_not_in(*NOT_PLACED)}"
    unbound = select(tx, record.account, f"{same_number} IS NULL AND {may_be_placed}", **values)
    bound = f"SELECT call_id FROM calls WHERE {MINE} AND {same_number} IS NOT NULL"
    call_ids = {row["call_id"] for row in tx.rows(bound, **values, **record.account.columns)}
    return unbound, call_ids, offset_at(service_time, tx.now) or 0.0
