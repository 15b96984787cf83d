"""Places a call: checks the request, simulates the call, and stores its outcome, all in one
transaction.

A call has ended when the clock has reached its `ends_at`, without a background task. So no call is
lost when the client disconnects or the sandbox is killed.
"""

import hashlib
import json
import sqlite3
import uuid
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from kallyai_mcp.sandbox import call_table, quota, validation
from kallyai_mcp.sandbox.accounts import Account
from kallyai_mcp.sandbox.call_table import Call, outcome_of, remember
from kallyai_mcp.sandbox.errors import ApiError, refusal
from kallyai_mcp.sandbox.schemas import CallCreateRequest
from kallyai_mcp.sandbox.simulator.optional import if_there
from kallyai_mcp.sandbox.simulator.scenario import Scenario
from kallyai_mcp.sandbox.simulator.simulated_call import SimulatedCall
from kallyai_mcp.sandbox.simulator.simulation import CallFacts, simulate
from kallyai_mcp.sandbox.state import Sandbox

_GENERATED_KEY_LIFETIME = timedelta(hours=1)
_KEY_NAMESPACE = uuid.UUID("b7d0c2a4-51f3-4c39-8b0e-6f2a9f3f7c11")


@dataclass(frozen=True)
class Placed:
    """A call that was placed, now or before; with `loses_answer`, its client gets no answer to this
    request, and with `shows_progress`, at once.
    """

    call: Call
    loses_answer: bool = False
    shows_progress: bool = False


def place(
    sandbox: Sandbox,
    account: Account,
    request: CallCreateRequest,
    key: uuid.UUID | None,
    client_id: str | None,
) -> Placed:
    """Place a call, or find the call that was placed with the same Idempotency-Key before.

    A key belongs to the account, and stays with its call. After a refusal, it can be used again.
    For a request of an OAuth client (`client_id`) without a key, one is generated from client and
    request ("auto-generated for GPT clients" in the reference). It expires an hour after its call
    has ended, so that the client can then ask for the same call again.

    Raises:
        ApiError: `idempotency_key_reused` 409, or the first rule of `api.md` that the request
            breaks.
    """
    with sandbox.store.transaction() as db:
        try:
            return _place(db, sandbox, account, request, key, client_id)
        except ApiError as error:
            refused = error
    raise refused  # outside of the transaction: a line counts the calls that it refuses, too


def _place(
    db: sqlite3.Connection,
    sandbox: Sandbox,
    account: Account,
    request: CallCreateRequest,
    key: uuid.UUID | None,
    client_id: str | None,
) -> Placed:
    fingerprint = _fingerprint(request)
    now = sandbox.clock.now()
    is_generated = key is None and client_id is not None
    if is_generated:
        key = uuid.uuid5(_KEY_NAMESPACE, f"{client_id} {fingerprint}")
    known = call_table.by_key(db, account.id, str(key)) if key is not None else None
    if known is not None:
        if not is_generated or now < known.ends_at + _GENERATED_KEY_LIFETIME:
            return _placed_before(
                known, fingerprint, shows_progress=call_table.is_live(db, known.call_id)
            )
        call_table.forget_key(db, known)
    number = validation.check(request.submission, account, ZoneInfo(request.timezone), now)
    scenario = sandbox.lines.take(db, number)
    _check_allowed(scenario, number, quota.usage(db, account, now))
    call_id = str(uuid.uuid4())
    bookings = call_table.bookings_with(db, number)
    facts = CallFacts(request.submission, now, request.timezone, call_id, bookings)
    result = simulate(facts, scenario)
    call = Call(
        call_id=call_id,
        account_id=account.id,
        idempotency_key=if_there(str, key),
        fingerprint=fingerprint,
        started_at=now,
        ends_at=now + timedelta(seconds=_seconds(result, scenario, sandbox.speed)),
        submission=request.submission.model_dump(mode="json", exclude_none=True),
        **outcome_of(result, facts),
    )
    call_table.add(db, call)
    if scenario.does == "is_played":
        played = (call_id, number, request.timezone)
        db.execute("INSERT INTO played_calls (call_id, number, timezone) VALUES (?, ?, ?)", played)
    if scenario.shows_progress:
        call_table.add_live(db, call_id)
    remember(db, number, result)
    return Placed(call, scenario.loses_the_answer, scenario.shows_progress)


def _placed_before(known: Call, fingerprint: str, *, shows_progress: bool) -> Placed:
    """The call that a request with its Idempotency-Key asks for again."""
    if known.fingerprint != fingerprint:
        raise ApiError(
            409,
            "idempotency_key_reused",
            "This Idempotency-Key was used with another request",
            f"It placed call {known.call_id}; use a new key for a new call",
        )
    return Placed(known, shows_progress=shows_progress)


def _check_allowed(scenario: Scenario, number: str, usage: quota.Usage) -> None:
    """Raise the error of a call that its line refuses, or that the plan does not cover."""
    if scenario.refusal == "quota_exceeded":
        raise usage.exceeded()
    if scenario.refusal is not None:
        raise refusal(scenario.refusal, f"This is what the sandbox's scenario for {number} says")
    usage.check_left()


def _seconds(result: SimulatedCall, scenario: Scenario, speed: float) -> float:
    """How long a call lasts by the clock; a person who plays the callee has real time."""
    if scenario.seconds is not None:
        return scenario.seconds
    return result.seconds if scenario.does == "is_played" else result.seconds / speed


def _fingerprint(request: CallCreateRequest) -> str:
    """Return a hash that is equal for two bodies with the same values, however their JSON is
    written.
    """
    body = request.model_dump(mode="json", exclude_none=True)
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
