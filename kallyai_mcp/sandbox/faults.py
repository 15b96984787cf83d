"""The faults that a test can set, and how often each has happened. `fault_middleware` makes them happen.

They show whether a client places a call twice, or loses an outcome, when the service fails at any point of a request.
Faults are stored in the memory of the process that serves the sandbox.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Self, get_args

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
    "cut_after_placed": "The call is placed, then the connection is reset at once. The call continues.",
    "cut_mid_body": "The request is processed to its end. The client gets the status line, the headers with the full "
    "`Content-Length`, and half of the body; then the connection is closed.",
    "unavailable_before": "503 with `Retry-After`. The request is not processed.",
    "unavailable_after": "The call is placed, then the same 503 with `Retry-After` at once. The call continues.",
    "rate_limited": "429 with `Retry-After`. The request is not processed.",
    "stall": "The request is read and not processed. No answer for `seconds`, then the connection is reset.",
    "stall_after": "The call is placed. No answer for `seconds`, then the connection is reset. The call continues.",
    "html": "502 with an HTML page, as from a gateway. The request is not processed.",
    "error_after": "The call is placed, then 500 with a body that is not JSON at once. The call continues.",
}
"""Descriptions by kind."""

KINDS_AFTER_PLACEMENT: frozenset[Kind] = frozenset(
    {"cut_after_placed", "unavailable_after", "stall_after", "error_after"}
)
"""The kinds that happen directly after a call was placed."""

CONTROL_PREFIX = "/_sandbox/"
"""No fault applies to paths with this prefix: tests use them to set faults and to list the placed calls."""

_PLACES_CALLS = ("POST", "/v1/calls")


class Fault(BaseModel):
    """One fault for the next `times` requests with this method and path."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Kind = Field(description="\n".join(f"- `{kind}`: {words}" for kind, words in KINDS.items()))
    times: int = Field(1, ge=1, le=1_000_000, description="For how many more requests")
    method: Literal["GET", "POST"] = "POST"
    path: str = Field(
        _PLACES_CALLS[1],
        pattern=r"^(\*|/.*)$",
        description="The exact path, without its query; `*` for every path except those below `/_sandbox/`",
    )
    seconds: float = Field(
        0.0, ge=0, le=3600, allow_inf_nan=False, description="The length of a stall; the value of `Retry-After`"
    )

    @model_validator(mode="after")
    def _can_happen(self) -> Self:
        if self.path.startswith(CONTROL_PREFIX):
            raise ValueError(f"no fault applies to paths below {CONTROL_PREFIX}")
        places_calls = self.method == _PLACES_CALLS[0] and self.path in (_PLACES_CALLS[1], "*")
        if self.kind in KINDS_AFTER_PLACEMENT and not places_calls:
            raise ValueError(f"{self.kind} needs a request that places a call: {' '.join(_PLACES_CALLS)}")
        return self


class FaultPlan(BaseModel):
    """The faults to set."""

    model_config = ConfigDict(extra="forbid", strict=True)

    faults: Annotated[
        list[Fault], Field(max_length=1000, description="The first fault that matches a request happens")
    ] = []
    list_only_ended: bool = Field(
        False, description="The list and the details return a call only after it has ended; before, it is not found"
    )
    forget_key_when_ended: bool = Field(
        False, description="An Idempotency-Key is forgotten when its call ends: after that, it places a new call"
    )


class FaultState(FaultPlan):
    """The faults that are left, each with its remaining `times`, and how often each kind has happened."""

    happened: dict[Kind, int] = Field(description="How often each kind has happened since the faults were set")


@dataclass(eq=False)
class ActiveFault:
    """A fault that is set: `left` for how many more requests, and how often it has `happened`."""

    fault: Fault
    left: int
    happened: int = 0


class Faults:
    """The faults of one sandbox, for one event loop: none at first. `plan` is what was set last."""

    def __init__(self) -> None:
        self.replace(FaultPlan())

    def replace(self, plan: FaultPlan) -> None:
        """Set the faults of `plan`, remove all others, and set the counters to 0."""
        self.plan = plan
        self._active = [ActiveFault(fault, fault.times) for fault in plan.faults]

    def take(self, method: str, path: str) -> ActiveFault | None:
        """Return the fault for a new request, with one of its times used; None if no fault matches."""
        for active in self._active:
            fault = active.fault
            matches = fault.path == path or (fault.path == "*" and not path.startswith(CONTROL_PREFIX))
            if active.left and fault.method == method and matches:
                active.left -= 1
                return active
        return None

    def state(self) -> FaultState:
        """Return the faults that are left, and a count for every kind that was set, also if it is 0."""
        kinds = [kind for kind in get_args(Kind) if any(active.fault.kind == kind for active in self._active)]
        return FaultState(
            faults=[active.fault.model_copy(update={"times": active.left}) for active in self._active if active.left],
            list_only_ended=self.plan.list_only_ended,
            forget_key_when_ended=self.plan.forget_key_when_ended,
            happened={kind: sum(each.happened for each in self._active if each.fault.kind == kind) for kind in kinds},
        )
