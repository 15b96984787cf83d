"""The ids of records, which only the ledger knows."""

import uuid

_TRACKING = "t-"
"""The prefix of our own ids, which no id of the service has."""


def new_tracking_id() -> str:
    """An id for a record; `is_tracking_id` tells it from the service's ids."""
    return f"{_TRACKING}{uuid.uuid4()}"


def is_tracking_id(id_: str) -> bool:
    """Whether an id is one of ours, which the service does not know."""
    return id_.startswith(_TRACKING)
