"""The endpoints of the reference's "Call Endpoints"."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.accounts import Account
from kallyai_mcp.sandbox.auth.access import require
from kallyai_mcp.sandbox.call_placement import place
from kallyai_mcp.sandbox.call_table import IN_PROGRESS, Call
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.fault_middleware import notify_placed
from kallyai_mcp.sandbox.schemas import (
    CallCreateRequest,
    CallList,
    CallMetadata,
    CallResponse,
    ListedCall,
    ListedSubmission,
    LiveCallResponse,
    RefusedCall,
    Transcript,
    errors,
)
from kallyai_mcp.sandbox.state import Sandbox, SandboxDep

router = APIRouter(prefix="/v1/calls", tags=["Calls"])

Reader = Annotated[Account, Depends(require("calls:read"))]
# The largest integer that every JSON parser keeps exact; it fits into SQLite's, too.
_LARGEST_OFFSET = 2**53 - 1


def _response(call: Call, now: datetime) -> CallResponse:
    return CallResponse(metadata=_metadata(call), **call.seen_at(now))


def _live_response(call: Call, now: datetime) -> LiveCallResponse:
    """A call in progress as it shows itself: ringing, until somebody has said something."""
    said = call.said_until(now)
    seen = call.seen_at(now) | {"status": IN_PROGRESS if said else "ringing", "transcript": said}
    return LiveCallResponse(metadata=_metadata(call), **seen)


def _metadata(call: Call) -> CallMetadata:
    return CallMetadata(created_at=call.started_at.replace(microsecond=0))


def _find(sandbox: Sandbox, account: Account, call_id: str) -> Call:
    with sandbox.store.transaction() as db:
        call = call_table.by_id(db, account.id, call_id)
    if call is None:
        raise ApiError(
            404, "call_not_found", "There is no such call", "Your account has no call with this id"
        )
    return call


async def _end_of(sandbox: Sandbox, call: Call) -> Call:
    """Wait until `call` has ended, and return it with its outcome.

    The end of a played call may change meanwhile.
    """
    while True:
        await sandbox.wait_until(call.ends_at)
        with sandbox.store.transaction() as db:
            current = call_table.by_id(db, call.account_id, call.call_id)
        if current is None or current.has_ended(sandbox.clock.now()):
            return current or call  # None: a test has deleted it
        call = current


@router.post(
    "",
    status_code=201,
    response_description="The call has ended; `status` says how",
    responses=errors(400, 401, 402, 403, 409, 422, 429, 503),
)
async def create_call(
    request: Request,
    body: CallCreateRequest,
    account: Annotated[Account, Depends(require("calls:write"))],
    sandbox: SandboxDep,
    idempotency_key: Annotated[
        uuid.UUID | None,
        Header(
            alias="Idempotency-Key",
            description="Identifies this call, so that a repeated request is safe; generated for "
            "OAuth clients",
        ),
    ] = None,
) -> CallResponse | LiveCallResponse:
    """Places a call and answers when it has ended.

    Needs the scope `calls:write`. The same Idempotency-Key with the same body is the same call,
    also while it is in progress.
    """
    number = body.submission.respondent_phone
    try:
        placed = place(sandbox, account, body, idempotency_key, request.state.client_id)
    except ApiError as error:
        sandbox.report(f"{number}  refused: {error.code}")
        submission = body.submission.model_dump(mode="json", exclude_none=True)
        why = {"code": error.code, "reason": error.reason, "at": sandbox.clock.now()}
        with sandbox.store.transaction() as db:
            call_table.add_refused(
                db, RefusedCall(respondent_phone=number, submission=submission, **why)
            )
        raise
    sandbox.report(f"{number}  calling")
    await notify_placed(request.scope, loses_answer=placed.loses_answer)
    now = sandbox.clock.now()
    if placed.shows_progress and not placed.call.has_ended(now):
        return _live_response(placed.call, now)
    call = await _end_of(sandbox, placed.call)
    seconds = call.report.duration_seconds or 0
    summary = call.report.highlights or ""
    ended = f"{number}  {call.status}, {seconds:.0f} s: {summary}"
    sandbox.report(ended.rstrip(": "))
    return _response(call, call.ends_at)


@router.get(
    "",
    response_model_exclude_none=True,
    response_description="One page of them",
    responses=errors(400, 401, 403),
)
async def list_calls(
    account: Reader,
    sandbox: SandboxDep,
    limit: Annotated[int, Query(ge=1, le=200, description="Max results")] = 50,
    offset: Annotated[int, Query(ge=0, le=_LARGEST_OFFSET, description="Pagination offset")] = 0,
) -> CallList:
    """The account's calls, newest first.

    Needs the scope `calls:read`.
    """
    now = sandbox.clock.now()
    with sandbox.store.transaction() as db:
        calls, total = call_table.page(db, account.id, limit=limit, offset=offset)
    listed = [
        ListedCall(
            call_id=call.call_id,
            status=call.seen_at(now)["status"],
            metadata=_metadata(call),
            submission=ListedSubmission.model_validate(call.submission),
        )
        for call in calls
    ]
    return CallList(calls=listed, total=total)


@router.get(
    "/{call_id}",
    response_description="The call in its current state",
    responses=errors(401, 403, 404),
)
async def get_call_details(
    call_id: str, account: Reader, sandbox: SandboxDep
) -> CallResponse | LiveCallResponse:
    """One call; `in_progress` until it has ended.

    Needs the scope `calls:read`.
    """
    call = _find(sandbox, account, call_id)
    now = sandbox.clock.now()
    with sandbox.store.transaction() as db:
        is_live = call_table.is_live(db, call_id)
    if is_live and not call.has_ended(now):
        return _live_response(call, now)
    return _response(call, now)


@router.get(
    "/{call_id}/transcript",
    response_description="The whole conversation",
    responses=errors(401, 403, 404),
)
async def get_transcript(
    call_id: str,
    account: Annotated[Account, Depends(require("transcripts:read"))],
    sandbox: SandboxDep,
) -> Transcript:
    """Who said what, after the call has ended.

    Needs the scope `transcripts:read`.
    """
    call = _find(sandbox, account, call_id)
    if not call.has_ended(sandbox.clock.now()):
        raise ApiError(
            404,
            "transcript_not_found",
            "There is no transcript yet",
            "The call is still in progress",
        )
    if call.transcript is None:
        raise ApiError(
            404,
            "transcript_not_found",
            "There is no transcript of this call",
            f"It ended: {call.status}",
        )
    return Transcript.model_validate({"entries": call.transcript})


_CALENDAR: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The appointment",
        "content": {"text/calendar": {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/{call_id}/calendar.ics", response_class=Response, responses=_CALENDAR | errors(401, 403, 404)
)
async def get_calendar_event(call_id: str, account: Reader, sandbox: SandboxDep) -> Response:
    """The agreed appointment, as iCalendar (RFC 5545).

    Needs the scope `calls:read`.
    """
    call = _find(sandbox, account, call_id)
    if not call.has_ended(sandbox.clock.now()):
        raise ApiError(
            404, "not_found", "There is no calendar event yet", "The call is still in progress"
        )
    if call.calendar is None:
        raise ApiError(
            404, "not_found", "There is no calendar event", "No appointment was agreed in the call"
        )
    headers = {"Content-Disposition": f'attachment; filename="{call.call_id}.ics"'}
    return Response(call.calendar, media_type="text/calendar; charset=utf-8", headers=headers)
