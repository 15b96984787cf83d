"""Placing a call: it is decided and written down in one transaction, and then only time has to pass.

Nothing runs in the background. Whether a call is over is a matter of what time it is, so neither a client that hangs
up nor a sandbox that is killed can lose one: the outcome is on disk before the first second of the call has gone by.
"""

import hashlib
import json
import uuid
from datetime import timedelta
from zoneinfo import ZoneInfo

from kallyai_mcp.sandbox import call_table, quota, validation
from kallyai_mcp.sandbox.accounts import Account
from kallyai_mcp.sandbox.call_table import Call
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.schemas import CallCreateRequest
from kallyai_mcp.sandbox.simulator.calendar import ics
from kallyai_mcp.sandbox.simulator.dialogue import timestamp
from kallyai_mcp.sandbox.simulator.simulation import simulate
from kallyai_mcp.sandbox.state import Sandbox


def place(sandbox: Sandbox, account: Account, request: CallCreateRequest, key: uuid.UUID | None) -> Call:
    """Dial, or find the call that was dialled for this Idempotency-Key before.

    The key belongs to the account and is remembered with the call, unless a quirk forgets it at the call's end. A
    refused request is no call: its key stays free.

    Args:
        sandbox: Where the call is made.
        account: Who makes it, and pays with minutes.
        request: The body of `POST /v1/calls`.
        key: The request's Idempotency-Key.

    Returns:
        The call, just begun, under way, or long over.

    Raises:
        ApiError: `idempotency_key_reused` 409, or the first rule of `sandbox/rules.py` that is broken.
    """
    fingerprint = _fingerprint(request)
    with sandbox.store.transaction() as db:
        now = sandbox.clock.now()
        known = call_table.by_key(db, account.id, str(key)) if key is not None else None
        if known is not None and sandbox.faults.forget_key_when_ended and known.is_over(now):
            call_table.forget_key(db, known)
        elif known is not None:
            if known.fingerprint != fingerprint:
                raise ApiError(
                    409,
                    "idempotency_key_reused",
                    "This Idempotency-Key was used with another request",
                    f"It placed call {known.call_id}; use a new key for a new call",
                )
            return known
        validation.check(request.submission, account, ZoneInfo(request.timezone), now)
        quota.usage(db, account, now).require_some_left()
        call = _simulate(sandbox, account, request, key, fingerprint)
        call_table.add(db, call)
    return call


def _fingerprint(request: CallCreateRequest) -> str:
    """The same for two bodies that ask for the same thing, however their JSON is written."""
    body = request.model_dump(mode="json", exclude_none=True)
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _simulate(
    sandbox: Sandbox, account: Account, request: CallCreateRequest, key: uuid.UUID | None, fingerprint: str
) -> Call:
    now = sandbox.clock.now()
    call_id = str(uuid.uuid4())
    result = simulate(request.submission, now=now, timezone=request.timezone, call_id=call_id)
    return Call(
        call_id=call_id,
        account_id=account.id,
        idempotency_key=str(key) if key is not None else None,
        fingerprint=fingerprint,
        started_at=now,
        ends_at=now + timedelta(seconds=result.duration_seconds / sandbox.speed),
        status=result.status,
        highlights=result.highlights,
        next_steps=result.next_steps,
        duration_seconds=result.duration_seconds,
        tenths=quota.tenths_of(result.duration_seconds),
        transcript=[
            {"speaker": entry.speaker, "content": entry.content, "timestamp": timestamp(entry.at_seconds)}
            for entry in result.entries
        ]
        or None,
        calendar=ics(result.event, call_id=call_id, now=now) if result.event is not None else None,
        submission=request.submission.model_dump(mode="json", exclude_none=True),
    )
