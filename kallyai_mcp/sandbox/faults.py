"""The faults that a test can set, and how often each has happened.

`fault_middleware` makes them happen. They show whether a client places a call twice, or loses an
outcome, when the service fails at any point of a request.
"""

import sqlite3
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal[
    "cut_before_read",
    "cut_after_placed",
    "cut_mid_body",
    "unavailable_before",
    "unavailable_after",
    "rate_limited",
    "stall",
    "stall_after",
    "html",
    "error_after",
]

KINDS: dict[Kind, str] = {
    "cut_before_read": "The connection is reset. The request is not processed.",
    "cut_after_placed": (
        "The call is placed, then the connection is reset at once. The call continues."
    ),
    "cut_mid_body": "The request is processed to its end. The client gets the status line, the "
    "headers with the full "
    "`Content-Length`, and half of the body; then the connection is closed.",
    "unavailable_before": "503 with `Retry-After`. The request is not processed.",
    "unavailable_after": (
        "The call is placed, then the same 503 with `Retry-After` at once. The call continues."
    ),
    "rate_limited": "429 with `Retry-After`. The request is not processed.",
    "stall": (
        "The request is read and not processed. No answer for `seconds`, then the connection "
        "is reset."
    ),
    "stall_after": (
        "The call is placed. No answer for `seconds`, then the connection is reset. "
        "The "
        "call continues."
    ),
    "html": "502 with an HTML page, as from a gateway. The request is not processed.",
    "error_after": (
        "The call is placed, then 500 with a body that is not JSON at once. The call continues."
    ),
}
"""Descriptions by kind."""

KINDS_AFTER_PLACEMENT: frozenset[Kind] = frozenset(
    {"cut_after_placed", "unavailable_after", "stall_after", "error_after"}
)
"""The kinds that happen directly after a call was placed."""

CONTROL_PREFIX = "/_sandbox/"
"""No fault applies to paths with this prefix: tests use them to set faults and to list the placed
calls.
"""

_PLACES_CALLS = ("POST", "/v1/calls")


class Fault(BaseModel):
    """One fault for the next `times` requests with this method and path."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Kind = Field(
        description="\n".join(f"- `{kind}`: {words}" for kind, words in KINDS.items())
    )
    times: int = Field(1, ge=1, le=1_000_000, description="For how many more requests")
    method: Literal["GET", "POST"] = "POST"
    path: str = Field(
        _PLACES_CALLS[1],
        pattern=r"^(\*|/.*)$",
        description=(
            "The exact path, without its query; `*` for every path except those below `/_sandbox/`"
        ),
    )
    seconds: float = Field(
        0.0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="The length of a stall; the value of `Retry-After`",
    )

    @model_validator(mode="after")
    def _can_happen(self) -> Self:
        if self.path.startswith(CONTROL_PREFIX):
            raise ValueError(f"no fault applies to paths below {CONTROL_PREFIX}")
        places_calls = self.method == _PLACES_CALLS[0] and self.path in (_PLACES_CALLS[1], "*")
        if self.kind in KINDS_AFTER_PLACEMENT and not places_calls:
            raise ValueError(
                f"{self.kind} needs a request that places a call: {' '.join(_PLACES_CALLS)}"
            )
        return self


class FaultPlan(BaseModel):
    """The faults to set."""

    model_config = ConfigDict(extra="forbid", strict=True)

    faults: Annotated[
        list[Fault],
        Field(max_length=1000, description="The first fault that matches a request happens"),
    ] = []


class FaultState(FaultPlan):
    """The faults that are left, each with its remaining `times`, and how often each kind has
    happened.
    """

    happened: dict[Kind, int] = Field(
        description="How often each kind has happened since the faults were set"
    )


def replace(db: sqlite3.Connection, plan: FaultPlan) -> None:
    """Set the faults of `plan`, remove all others, and set the counters to 0."""
    db.execute("DELETE FROM faults")
    rows = [
        (fault.model_dump_json(), fault.method, fault.path, fault.times) for fault in plan.faults
    ]
    db.executemany("INSERT INTO faults (fault, method, path, times_left) VALUES (?, ?, ?, ?)", rows)


def take(db: sqlite3.Connection, method: str, path: str) -> tuple[int, Fault] | None:
    """Return the fault for a new request, with one of its times used, and its id; None if no fault
    matches.
    """
    wildcard = path if path.startswith(CONTROL_PREFIX) else "*"
    row = db.execute(
        "UPDATE faults SET times_left = times_left - 1 WHERE id = (SELECT id FROM faults"
        " WHERE method = ? AND path IN (?, ?) AND times_left > 0 ORDER BY id LIMIT 1) RETURNING "
        "id, fault",
        (method, path, wildcard),
    ).fetchone()
    if row is None:
        return None
    return row["id"], Fault.model_validate_json(row["fault"])


def settle(db: sqlite3.Connection, fault_id: int, *, happened: bool) -> None:
    """Note that a fault of `take` has happened, or give it back for a later request."""
    column = "happened" if happened else "times_left"
    db.execute(f"UPDATE faults SET {column} = {column} + 1 WHERE id = ?", (fault_id,))  # noqa: S608 - our names


def state(db: sqlite3.Connection) -> FaultState:
    """Return the faults that are left, and a count for every kind that was set, also if it is 0."""
    left = []
    happened: dict[Kind, int] = {}
    for row in db.execute("SELECT * FROM faults ORDER BY id"):
        fault = Fault.model_validate_json(row["fault"])
        happened[fault.kind] = happened.get(fault.kind, 0) + row["happened"]
        if row["times_left"]:
            left.append(fault.model_copy(update={"times": row["times_left"]}))
    return FaultState(faults=left, happened=happened)
