"""The other records that a call in the service's list may belong to."""

from dataclasses import dataclass
from datetime import datetime

from kallyai_mcp.calls.ledger.base import Tx, moment
from kallyai_mcp.calls.ledger.reservation import readable
from kallyai_mcp.calls.records import CallRecord


@dataclass(frozen=True)
class Competitors:
    """The other records of an account with the number of a given record.

    Attributes:
        unbound: Those whose call of the service is not known.
        call_ids: The `call_id`s of those whose call is known.
        now: The time by the ledger's clock, which also dated the records.
    """

    unbound: list[CallRecord]
    call_ids: set[str]
    now: datetime


def find_competitors(tx: Tx, record: CallRecord) -> Competitors:
    """The other records that the service's call of `record` may belong to."""
    same_number = "number = :number AND tracking_id <> :id AND api = :api AND account = :account"
    values = {
        "number": record.submission.respondent_phone,
        "id": record.tracking_id,
        **record.account.columns,
    }
    unbound = tx.rows(
        f"SELECT * FROM calls WHERE {same_number} AND call_id IS NULL AND sent_at IS NOT NULL "
        "AND state NOT IN ('refused', 'canceled', 'scheduled', 'expired')",
        **values,
    )
    bound = tx.rows(f"SELECT call_id FROM calls WHERE {same_number} AND call_id IS NOT NULL", **values)
    return Competitors(readable(unbound), {row["call_id"] for row in bound}, moment(tx.now()))
