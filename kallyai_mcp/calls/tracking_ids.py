"""The ids of records, which only the ledger knows."""

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kallyai_mcp.calls.records import CallRecord

_TRACKING = "t-"
"""The prefix of our own ids, which no id of the service has."""


def new_tracking_id() -> str:
    """An id for a record; `is_tracking_id` tells it from the service's ids."""
    return f"{_TRACKING}{uuid.uuid4()}"


def is_tracking_id(id_: str) -> bool:
    """Whether an id is one of ours, which the service does not know."""
    return id_.startswith(_TRACKING)


def ids_of(records: Iterable["CallRecord"]) -> tuple[str, ...]:
    """The tracking ids of some records."""
    return tuple(record.tracking_id for record in records)


def by_id(records: Iterable["CallRecord"]) -> dict[str, "CallRecord"]:
    """Some records by their tracking ids."""
    return {record.tracking_id: record for record in records}
