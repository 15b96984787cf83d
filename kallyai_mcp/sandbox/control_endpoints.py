"""`/_sandbox/…`: endpoints for tests: sign in, say what happens on a line, set faults, list the
placed calls.
"""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from kallyai_mcp.sandbox import call_table, faults
from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES
from kallyai_mcp.sandbox.auth.tokens import TokenResponse
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.faults import FaultPlan, FaultState
from kallyai_mcp.sandbox.local_access import REMOTE_CLIENT, only_from_this_machine
from kallyai_mcp.sandbox.schemas import RefusedCall, Status, TranscriptEntry, errors
from kallyai_mcp.sandbox.simulator.scenario import LineScript, PhoneNumber
from kallyai_mcp.sandbox.simulator.scenario_file import ScenarioFile
from kallyai_mcp.sandbox.state import SandboxDep

LineNumber = Annotated[PhoneNumber, Path()]

router = APIRouter(
    prefix="/_sandbox",
    tags=["Sandbox"],
    dependencies=[Depends(only_from_this_machine)],
    responses=REMOTE_CLIENT,
)


class PlacedCall(BaseModel):
    """One call that was placed, whatever its client was told."""

    call_id: str
    account_id: str
    respondent_phone: str
    task_description: str
    submission: dict[str, Any] = Field(
        description="The submission as it was sent, without its nulls"
    )
    idempotency_key: str | None = Field(
        description="The key it was placed with, also after it was forgotten"
    )
    started_at: datetime
    ends_at: datetime
    status: Status
    highlights: str | None
    transcript: list[TranscriptEntry] | None


class PlacedCalls(BaseModel):
    """The calls of all accounts, oldest first."""

    calls: list[PlacedCall]
    refused: list[RefusedCall] = Field(
        description="The newest 1,000 calls that were refused, oldest first"
    )


class AccountChoice(BaseModel):
    """The account to sign in, and what its access token may do; by default everything."""

    account_id: str = Field("acct-personal", json_schema_extra={"enum": list(ACCOUNTS)})
    scopes: set[str] = Field(
        set(SCOPES), json_schema_extra={"items": {"type": "string", "enum": list(SCOPES)}}
    )


@router.put("/faults", response_description="The faults that are set now", responses=errors(400))
async def set_faults(plan: FaultPlan, sandbox: SandboxDep) -> FaultState:
    """Replaces all faults, and sets their counters to 0.

    A fault after a call is placed, or in the middle of a response, skips requests that the sandbox
    refuses.
    """
    return sandbox.set_faults(plan)


@router.get("/faults", response_description="The current state")
async def get_faults(sandbox: SandboxDep) -> FaultState:
    """The faults that are left, and how often each kind has happened."""
    with sandbox.store.transaction() as db:
        return faults.state(db)


@router.delete("/faults", status_code=204, response_description="No fault is set")
async def clear_faults(sandbox: SandboxDep) -> None:
    """Removes all faults and counters."""
    sandbox.set_faults(FaultPlan())


@router.get("/calls", response_description="All calls")
async def get_placed_calls(sandbox: SandboxDep) -> PlacedCalls:
    """Every placed call of every account, oldest first, whatever a client was told.

    No fault changes this list.
    """
    with sandbox.store.transaction() as db:
        calls = call_table.all_calls(db)
    now = sandbox.clock.now()
    placed = [PlacedCall.model_validate(call.submission | call.seen_at(now)) for call in calls]
    return PlacedCalls(calls=placed, refused=sandbox.refused_calls())


@router.delete("/calls", status_code=204, response_description="There are no calls")
async def delete_all_calls(sandbox: SandboxDep) -> None:
    """Deletes the calls of all accounts, so that the next test begins with none."""
    with sandbox.store.transaction() as db:
        call_table.clear(db)
    sandbox.wake()


@router.post(
    "/sign-in", response_description="An access token and a refresh token", responses=errors(400)
)
async def sign_in(choice: AccountChoice, sandbox: SandboxDep) -> TokenResponse:
    """Signs an account in without a browser."""
    try:
        return sandbox.tokens.issue(choice.account_id, sorted(choice.scopes))
    except ValueError as error:
        raise ApiError(400, "validation_error", "The request is not valid", str(error)) from None


@router.get("/scenarios/schema", response_description="A JSON schema")
async def get_scenario_schema() -> dict[str, Any]:
    """The JSON schema of the TOML files that `--scenarios` takes."""
    return ScenarioFile.model_json_schema()


@router.put("/line/{number}", response_model_exclude_unset=True, responses=errors(400))
async def set_line(number: LineNumber, script: LineScript, sandbox: SandboxDep) -> LineScript:
    """Says what happens in calls to this number, from the next one on."""
    sandbox.lines.set(number, script)
    return script


@router.get("/line/{number}", response_model_exclude_unset=True, responses=errors(400))
async def get_line(number: LineNumber, sandbox: SandboxDep) -> LineScript:
    """What happens in calls to this number."""
    return sandbox.lines.of(number)


@router.delete(
    "/line/{number}",
    status_code=204,
    response_description="The line is as it was",
    responses=errors(400),
)
async def reset_line(number: LineNumber, sandbox: SandboxDep) -> None:
    """Sets a line back to what it was when the sandbox started."""
    sandbox.lines.set(number, None)
