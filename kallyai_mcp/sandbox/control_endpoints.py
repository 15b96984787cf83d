"""`/_sandbox/faults` and `/_sandbox/calls`: how a test makes the sandbox misbehave, and learns what really happened."""

from datetime import datetime
from ipaddress import IPv6Address, ip_address
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.call_table import IN_PROGRESS
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.faults import FaultPlan, FaultState
from kallyai_mcp.sandbox.schemas import ErrorResponse, Status, errors
from kallyai_mcp.sandbox.state import SandboxDep


def _is_this_machine(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


async def _only_from_this_machine(request: Request) -> None:
    if request.client is None or not _is_this_machine(request.client.host):
        raise ApiError(403, "forbidden", "Only clients on the sandbox's own machine are let in here")


_ELSEWHERE: dict[int | str, dict[str, Any]] = {
    403: {"model": ErrorResponse, "description": "The client is not on this machine"}
}

router = APIRouter(
    prefix="/_sandbox", tags=["Sandbox"], dependencies=[Depends(_only_from_this_machine)], responses=_ELSEWHERE
)


class PlacedCall(BaseModel):
    """One call that was really placed, whoever got to know of it."""

    call_id: str
    account_id: str
    respondent_phone: str
    task_description: str
    idempotency_key: str | None = Field(description="The key it was placed with, also once it is forgotten")
    started_at: datetime
    ends_at: datetime
    status: Status


class PlacedCalls(BaseModel):
    """Every call of every account, the oldest first."""

    calls: list[PlacedCall]


@router.put(
    "/faults",
    summary="Arm Faults",
    description="Replaces all faults and quirks, and starts their counters anew. They live in the memory of this "
    "process. A fault that acts once a call is placed, or in the middle of an answer, passes a request over that is "
    "refused anyway. Loopback clients only; no token.",
    response_description="What is armed now",
    responses=errors(400),
)
async def put_faults(plan: FaultPlan, sandbox: SandboxDep) -> FaultState:
    """Arm these faults and nothing else."""
    sandbox.faults.replace(plan)
    return sandbox.faults.state()


@router.get(
    "/faults",
    summary="Get Faults",
    description="What is still armed, and how often each kind has fired. Loopback clients only; no token.",
    response_description="As it stands",
)
async def get_faults(sandbox: SandboxDep) -> FaultState:
    """What is still to go wrong, and what has gone wrong."""
    return sandbox.faults.state()


@router.delete(
    "/faults",
    status_code=204,
    summary="Clear Faults",
    description="From now on all goes well again. Loopback clients only; no token.",
    response_description="Nothing is armed",
)
async def delete_faults(sandbox: SandboxDep) -> None:
    """Disarm everything, and forget the counters."""
    sandbox.faults.replace(FaultPlan())


@router.get(
    "/calls",
    summary="Get Placed Calls",
    description="Every call of every account that was ever placed, the oldest first: what really happened, whatever "
    "a client was told. No fault or quirk touches it. Loopback clients only; no token.",
    response_description="All of them",
)
async def get_placed_calls(sandbox: SandboxDep) -> PlacedCalls:
    """Every call that was ever placed."""
    with sandbox.store.transaction() as db:
        calls = call_table.all_calls(db)
    now = sandbox.clock.now()
    return PlacedCalls(
        calls=[
            PlacedCall(
                call_id=call.call_id,
                account_id=call.account_id,
                respondent_phone=call.submission["respondent_phone"],
                task_description=call.submission["task_description"],
                idempotency_key=call.idempotency_key,
                started_at=call.started_at,
                ends_at=call.ends_at,
                status=call.status if call.is_over(now) else IN_PROGRESS,
            )
            for call in calls
        ]
    )
