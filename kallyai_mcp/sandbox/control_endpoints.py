"""`/_sandbox/faults` and `/_sandbox/calls`: for tests that inject faults and check which calls were placed."""

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


def _is_local_name(host: str | None) -> bool:
    """Whether no name server can lead `host` here: an address, `localhost`, or a name that is reserved (RFC 6761)."""
    return host is not None and (_is_this_machine(host) or host.rpartition(".")[2] in ("localhost", "test", "invalid"))


async def _only_from_this_machine(request: Request) -> None:
    if request.client is None or not _is_this_machine(request.client.host):
        raise ApiError(403, "forbidden", "Only clients on the sandbox's machine may use this endpoint")
    if not _is_local_name(request.url.hostname):  # a web page whose name was made to lead to this machine
        raise ApiError(403, "forbidden", "This endpoint can be used only by a name of this machine, such as localhost")


_REMOTE_CLIENT: dict[int | str, dict[str, Any]] = {
    403: {"model": ErrorResponse, "description": "The client is not on this machine"}
}

router = APIRouter(
    prefix="/_sandbox", tags=["Sandbox"], dependencies=[Depends(_only_from_this_machine)], responses=_REMOTE_CLIENT
)


class PlacedCall(BaseModel):
    """One call that was placed, whatever its client was told."""

    call_id: str
    account_id: str
    respondent_phone: str
    task_description: str
    idempotency_key: str | None = Field(description="The key it was placed with, also after it was forgotten")
    started_at: datetime
    ends_at: datetime
    status: Status


class PlacedCalls(BaseModel):
    """The calls of all accounts, oldest first."""

    calls: list[PlacedCall]


@router.put(
    "/faults",
    summary="Set Faults",
    description="Replaces all faults, and sets their counters to 0. Faults are stored in the memory of this process. A "
    "fault that happens after a call is placed, or in the middle of a response, skips requests that the sandbox "
    "refuses. Loopback clients only; no token.",
    response_description="The faults that are set now",
    responses=errors(400),
)
async def put_faults(plan: FaultPlan, sandbox: SandboxDep) -> FaultState:
    """Replace all faults."""
    sandbox.faults.replace(plan)
    return sandbox.faults.state()


@router.get(
    "/faults",
    summary="Get Faults",
    description="The faults that are left, and how often each kind has happened. Loopback clients only; no token.",
    response_description="The current state",
)
async def get_faults(sandbox: SandboxDep) -> FaultState:
    """Return the faults that are left, and how often each kind has happened."""
    return sandbox.faults.state()


@router.delete(
    "/faults",
    status_code=204,
    summary="Clear Faults",
    description="Removes all faults and counters. Loopback clients only; no token.",
    response_description="No fault is set",
)
async def delete_faults(sandbox: SandboxDep) -> None:
    """Remove all faults and counters."""
    sandbox.faults.replace(FaultPlan())


@router.get(
    "/calls",
    summary="Get Placed Calls",
    description="Every placed call of every account, oldest first, whatever a client was told. No fault changes this "
    "list. Loopback clients only; no token.",
    response_description="All calls",
)
async def get_placed_calls(sandbox: SandboxDep) -> PlacedCalls:
    """Return every placed call of every account."""
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
                status=call.status if call.has_ended(now) else IN_PROGRESS,
            )
            for call in calls
        ]
    )
