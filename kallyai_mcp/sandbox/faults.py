"""How the sandbox is told to misbehave: which faults are armed, how often each fired, and which quirks are on.

A client that must never ring twice nor lose an outcome is proved against a service that breaks off at every moment.
Faults live in the memory of the process that serves; `faulty.py` acts them out.
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
    "cut_before_read": "The connection is reset; the request is not acted on.",
    "cut_after_placed": "The call is placed, then the connection is reset at once. The call goes on.",
    "cut_mid_body": "The request is acted on, and a call waited for. The answer's status line, its headers with the "
    "full `Content-Length` and half of its body come, then the connection ends.",
    "unavailable_before": "503 with `Retry-After`; the request is not acted on.",
    "unavailable_after": "The call is placed, then the same 503 with `Retry-After` at once. The call goes on.",
    "rate_limited": "429 with `Retry-After`; the request is not acted on.",
    "stall": "The request is read and not acted on; silence for `seconds`, then the connection is reset.",
    "stall_after": "The call is placed; silence for `seconds`, then the connection is reset. The call goes on.",
    "html": "502 with a page of HTML, as from a gateway; the request is not acted on.",
    "error_after": "The call is placed, then 500 with a body that is no JSON at once. The call goes on.",
}
"""What each kind does, as `/docs` says it."""

KINDS_AFTER_PLACEMENT: frozenset[Kind] = frozenset(
    {"cut_after_placed", "unavailable_after", "stall_after", "error_after"}
)
"""The kinds that act at the moment a call has been placed."""

OUT_OF_REACH = "/_sandbox/"
"""What no fault touches: these paths arm and clear the faults, and say what really happened."""

_PLACES_CALLS = ("POST", "/v1/calls")


class Fault(BaseModel):
    """One way to misbehave, for the next `times` requests with this method and path."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Kind
    times: int = Field(1, ge=1, le=1_000_000, description="For how many more requests")
    method: Literal["GET", "POST"] = "POST"
    path: str = Field(
        _PLACES_CALLS[1],
        pattern=r"^(\*|/.*)$",
        description="The exact path, without its query; `*` for any but those below `/_sandbox/`",
    )
    seconds: float = Field(
        0.0, ge=0, le=3600, allow_inf_nan=False, description="How long a stall lasts; what `Retry-After` says"
    )

    @model_validator(mode="after")
    def _can_happen(self) -> Self:
        if self.path.startswith(OUT_OF_REACH):
            raise ValueError(f"no fault touches what lies below {OUT_OF_REACH}")
        if self.kind in KINDS_AFTER_PLACEMENT and (self.method, self.path) not in (
            _PLACES_CALLS,
            (_PLACES_CALLS[0], "*"),
        ):
            raise ValueError(f"{self.kind} acts when a call is placed, which only {' '.join(_PLACES_CALLS)} does")
        return self


class FaultPlan(BaseModel):
    """Everything that is to go wrong."""

    model_config = ConfigDict(extra="forbid", strict=True)

    faults: Annotated[
        list[Fault], Field(max_length=1000, description="The first one that fits a request is the one that fires")
    ] = []
    list_only_ended: bool = Field(
        False, description="The list and the details know a call only once it has ended; until then it is not found"
    )
    forget_key_when_ended: bool = Field(
        False, description="An Idempotency-Key is forgotten when its call has ended: then it places a new call"
    )


class FaultState(FaultPlan):
    """What is still to go wrong, each fault with the `times` that are left of it, and what has gone wrong."""

    fired: dict[Kind, int] = Field(description="How often each kind has fired since the faults were put there")


@dataclass(eq=False)
class Armed:
    """A fault in its place in the list. A request that it fits takes one of the times that are `left` of it."""

    fault: Fault
    left: int
    fired: int = 0

    def fire(self) -> None:
        """Count that what was taken has now really happened."""
        self.fired += 1

    def give_back(self) -> None:
        """Leave what was taken to the next request: this one gave the fault no occasion."""
        self.left += 1


class Faults:
    """The faults of one sandbox; for one event loop. Nothing is armed at first.

    Attributes:
        list_only_ended: As in `FaultPlan`.
        forget_key_when_ended: As in `FaultPlan`.
    """

    def __init__(self) -> None:
        self.replace(FaultPlan())

    def replace(self, plan: FaultPlan) -> None:
        """Arm what `plan` says and nothing else; the counters start anew."""
        self._armed = [Armed(fault, fault.times) for fault in plan.faults]
        self.list_only_ended = plan.list_only_ended
        self.forget_key_when_ended = plan.forget_key_when_ended

    def claim(self, method: str, path: str) -> Armed | None:
        """The fault for a request that has just come, one of its times taken; None for a request that is to go well."""
        for armed in self._armed:
            fault = armed.fault
            hit = fault.path == path or (fault.path == "*" and not path.startswith(OUT_OF_REACH))
            if armed.left and fault.method == method and hit:
                armed.left -= 1
                return armed
        return None

    def state(self) -> FaultState:
        """What is still armed, and how often each kind fired: every kind that was put there, also with 0."""
        kinds = [kind for kind in get_args(Kind) if any(armed.fault.kind == kind for armed in self._armed)]
        return FaultState(
            faults=[armed.fault.model_copy(update={"times": armed.left}) for armed in self._armed if armed.left],
            list_only_ended=self.list_only_ended,
            forget_key_when_ended=self.forget_key_when_ended,
            fired={kind: sum(armed.fired for armed in self._armed if armed.fault.kind == kind) for kind in kinds},
        )
