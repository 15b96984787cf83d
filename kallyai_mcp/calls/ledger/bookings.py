"""Fills the column `about_call_id` of the records that an older version has written."""

from pydantic import ValidationError

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.about_booking import BEGINNINGS, about_call_id
from kallyai_mcp.calls.ledger.base import Row, Tx

_BATCH = 500
"""How many records are in memory at once."""

_MAY_BE_ABOUT_ONE = " OR ".join(f"submission LIKE :{language}" for language in BEGINNINGS)
_PATTERNS = {language: f"%{text}%" for language, text in BEGINNINGS.items()}


def fill(tx: Tx) -> None:
    """Fill the column, in the transaction that has added it."""
    last = ""
    while rows := _next_rows(tx, last):
        for row in rows:
            _fill_one(tx, row)
        last = rows[-1]["tracking_id"]


def _next_rows(tx: Tx, last: str) -> list[Row]:
    """The next records by tracking id that may be about a booking."""
    found = (
        "SELECT tracking_id, submission FROM calls WHERE tracking_id > :last AND "
        f"({_MAY_BE_ABOUT_ONE})"
    )
    return tx.rows(f"{found} ORDER BY tracking_id LIMIT :most", last=last, most=_BATCH, **_PATTERNS)


def _fill_one(tx: Tx, row: Row) -> None:
    try:
        about = about_call_id(Submission.model_validate_json(row["submission"]))
    except ValidationError:  # of a newer version
        return
    changed = "UPDATE calls SET about_call_id = :about WHERE tracking_id = :id"
    tx.run(changed, about=about, id=row["tracking_id"])
