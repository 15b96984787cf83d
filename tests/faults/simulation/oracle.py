"""Judges a simulated run by what the service saw."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.faults.simulation.judging import (
    HOUR,
    MINUTE,
    SEND_WITHIN,
    SHARED,
    Rule,
    Violation,
    ended_row,
    has_shown_talk,
    is_deleted,
    loses_records,
    may_be_old,
    over_at,
)
from tests.faults.simulation.ledgers import Row
from tests.faults.simulation.plan import Task
from tests.faults.simulation.run import ACTIVE, Evidence, Use
from tests.faults.simulation.service import PhoneCall, plain

_OWN = {
    "Do not agree to a day or time other than the one asked for.",
    "Say in your first sentence that you are an AI assistant calling for somebody else.",
}
"""What the program adds to the instructions of a task: of one with a day or a time, and of all."""

_WAITED = timedelta(seconds=5)
"""A request that is answered later than this had been placed, or had joined a call."""

_ON_ITS_WAY = timedelta(seconds=1)
"""So long an answer that the ledger knows as delivered may take to its client."""

_NOTICED = timedelta(seconds=2)
"""So long a process may take to notice that another one has ended a call."""


def find_violations(evidence: Evidence) -> list[Violation]:
    """Every violation in the run."""
    checks = (_twice, _shown, _faultless, _untrue, _unasked, _late, *SHARED)
    return [violation for check in checks for violation in check(evidence)]


# Placed twice


def _twice(evidence: Evidence) -> Iterator[Violation]:
    for number, task in enumerate(evidence.plan.tasks):
        for account in sorted({account for use in evidence.uses for account in use.accounts}):
            calls = [
                call
                for call in evidence.placed
                if call.account == account and _asked_for(call, task)
            ]
            allowed = _allowed(number, account, calls, evidence)
            if len(calls) > allowed:
                text = (
                    f"task {number} was placed {len(calls)} times on {account}; {allowed} "
                    "would "
                    "have been right"
                )
                yield Violation(Rule.TWICE, text)


def _allowed(number: int, account: str, calls: list[PhoneCall], evidence: Evidence) -> int:
    """How often a task may have been placed on `account` because of what was asked for while it was
    signed in.

    Once; and once more for each outcome that the agent was told before it asked again, as
    `_allows_another` says.
    """
    by_id = {call.call_id: call for call in calls}
    told: dict[tuple[Any, ...], Use] = {}  # what the agent was told first of each call
    tracking = {
        row["call_id"]: row["tracking_id"] for row in evidence.rows if row["call_id"] is not None
    }
    requests = [use for use in evidence.uses if use.task == number and account in use.accounts]

    def id_of(data: dict[str, Any]) -> str | None:
        """The tracking id of a call in a result, which has only the call's own id when it has
        ended.
        """
        return data.get("tracking_id") or tracking.get(data.get("call_id"))

    asked_ids = {id_of(use.answer.data) for use in requests if use.answer is not None} - {None}
    for use in sorted(evidence.uses, key=lambda use: use.answered):
        if use.answer is None or not (use.is_outcome or use.status == "unknown"):
            continue
        tracking_id, call_id = id_of(use.answer.data), use.answer.data.get("call_id")
        if tracking_id in asked_ids or call_id in by_id:
            told.setdefault(
                (tracking_id or call_id, use.status, use.answer.data.get("outcome")), use
            )
    allowed = 1 if requests else 0
    if len({start.home for start in evidence.plan.starts}) > 1:
        # After a refusal, a machine sends a new key, and its ledger does not know of the other
        # machine's call.
        allowed += sum(
            row["state"] == "refused" and row["account"] == account for row in evidence.rows
        )
    if _has_new_key(calls, evidence):
        # Nobody knows of a call that is in no ledger; of a deleted user's, a hash is.
        is_gone = evidence.plan.has("its ledger is deleted")
        allowed += is_gone and any(is_deleted(call, evidence) for call in calls)
    if may_be_old(evidence):
        in_order = sorted(calls, key=lambda call: call.started)
        allowed += sum(
            over_at(first, evidence) < then.started for first, then in pairwise(in_order)
        )
    for use in (use for use in requests if use.gave_up_silently):
        # For the server, the client was told then.
        ends = (
            call.ends
            for call in calls
            if call.started >= use.asked_at and not call.reached_somebody
        )
        end = min(ends, default=None)
        allowed += any(
            end is not None and _passed(end, request, evidence) > MINUTE for request in requests
        )
    for request in sorted(requests, key=lambda use: use.asked):
        for key, use in told.items():
            if use.answer is None or not _told_before(use, request, evidence):
                continue
            call = by_id.get(use.answer.data.get("call_id") or "")
            if _allows_another(use, call, request, evidence):
                allowed += 1
                del told[key]
                break
    return allowed


def _has_new_key(calls: list[PhoneCall], evidence: Evidence) -> bool:
    """Whether the same request had another key without a ledger, or KallyAI forgets keys."""
    days = {call.started.date() for call in calls}
    is_another_day = len(days) > 1 or evidence.plan.has("has its clock set")
    return is_another_day or evidence.service.quirks.forgets_keys


def _told_before(told: Use, request: Use, evidence: Evidence) -> bool:
    """Whether an answer had left before a request arrived: both may have been on their way."""
    if told.answered <= request.asked or told.answered_at == request.asked_at:
        return True
    if told.answered_at is None or told.answer is None:
        return False
    was_on_its_way = told.answered_at - request.asked_at <= _ON_ITS_WAY
    call_id = told.answer.data.get("call_id")
    delivered = [
        row["delivered_at"]
        for row in evidence.rows
        if row["call_id"] == call_id and row["delivered_at"] is not None
    ]
    return was_on_its_way and any(at <= request.asked_at.timestamp() for at in delivered)


def _allows_another(told: Use, call: PhoneCall | None, request: Use, evidence: Evidence) -> bool:
    """Whether a request may place the call again after the agent was told how a call ended, None if
    that is unknown.

    It may a minute after a call that reached nobody, an hour after any other one, and at any time
    if the agent asks for a redial and knows whether somebody talked.
    """
    if call is None:
        return bool(request.arguments.get("redial"))
    has_talked = has_shown_talk(call, request.asked_at, evidence)
    assert told.answer is not None
    was_told_of_talk = told.answer.data.get("outcome") != "not_reached"
    if has_talked and not was_told_of_talk:
        return False
    if request.arguments.get("redial"):
        return True
    pause = HOUR if has_talked else _ABOUT_A_MINUTE
    return _passed(call.ends, request, evidence, told.process) > pause


def _passed(
    end: datetime, request: Use, evidence: Evidence, told_by: str | None = None
) -> timedelta:
    """The time from the end of a call to a request: by the wall clock, but for the process that
    told the outcome.
    """
    passed = request.asked_at - end
    return (
        passed
        if request.process == told_by
        else passed + evidence.set_forward(end, request.asked_at)
    )


_ABOUT_A_MINUTE = MINUTE - timedelta(seconds=1)
"""The time within which the same request is answered with a call that reached nobody, with some
tolerance.
"""


# Lost, stuck, and untrue


def _shown(evidence: Evidence) -> Iterator[Violation]:
    """`get_call` shows what the ledger knows of a call."""
    for call in evidence.placed:
        if (ended := ended_row(call, evidence)) is None:
            continue
        status = evidence.service.status_of(call)
        for name in (ended["tracking_id"], call.call_id):
            shown = evidence.shown.get(name, {})
            if (shown.get("call_id"), shown.get("status")) != (call.call_id, status):
                yield Violation(
                    Rule.LOST, f"call {call.call_id} is {status}, but get_call {name} shows {shown}"
                )


def _faultless(evidence: Evidence) -> Iterator[Violation]:
    """Where nothing fails, every call is placed and has its outcome."""
    for row in evidence.rows:
        if _is_opted_out(row):
            continue
        if row["state"] not in (*ACTIVE, "ended") and evidence.plan.is_faultless:
            yield Violation(
                Rule.STUCK, f"{row['tracking_id']} is {row['state']} although nothing failed"
            )


def _is_opted_out(row: Row) -> bool:
    """Whether a call was refused because its callee asked not to be called again."""
    return row["state"] == "refused" and '"opted_out"' in str(row["error"])


def _untrue(evidence: Evidence) -> Iterator[Violation]:
    calls = {call.call_id: call for call in evidence.placed}
    for row in evidence.rows:
        if row["call_id"] is not None:
            call = calls.get(row["call_id"])
            if call is None or not _may_be(call, json.loads(row["submission"]), evidence):
                yield Violation(
                    Rule.UNTRUE,
                    f"{row['tracking_id']} has the outcome of another task or of no call of ours",
                )
    recorded = {row["tracking_id"] for row in evidence.rows}
    for use in evidence.uses:
        if use.answer is None:
            continue
        if use.is_outcome:
            call = calls.get(use.answer.data["call_id"])
            task = evidence.plan.tasks[use.task] if use.task is not None else None
            if call is None or (
                task is not None
                and not _asked_for(call, task)
                and not _may_be(call, task.arguments, evidence)
            ):
                yield Violation(
                    Rule.UNTRUE, f"the agent was told {use.text!r}, but the call is {call}"
                )
            elif evidence.service.status_of(call) != use.status:
                yield Violation(
                    Rule.UNTRUE, f"the agent was told {use.status}, but the call is {call.status}"
                )
        elif (
            use.status in ("in_progress", "unknown")
            and use.answer.data.get("tracking_id") not in recorded
        ):
            if not loses_records(evidence.plan) and not may_be_old(evidence):
                yield Violation(
                    Rule.UNTRUE, f"the agent was told {use.text!r}, but no ledger has that record"
                )
        elif use.answer.is_error and use.task is not None and use.text.startswith("Not called"):
            yield from _wrongly_denied(use, use.task, evidence)


def _may_be(call: PhoneCall, submission: Mapping[str, Any], evidence: Evidence) -> bool:
    """Whether a client could take the call for that of this submission.

    Where the ledger was deleted, it does not know of another call to the number, and the service
    may not repeat all.
    """
    if evidence.plan.has("its ledger is deleted") and evidence.service.quirks.echo != "all":
        return bool(
            plain(call.submission.get("respondent_phone"))
            == plain(submission.get("respondent_phone"))
        )
    return _same_submission(_without_own(call.submission), _without_own(submission))


def _wrongly_denied(use: Use, number: int, evidence: Evidence) -> Iterator[Violation]:
    """The agent was told that nothing was called, but meanwhile something was, and by no other
    request.
    """
    others = [
        other
        for other in evidence.uses
        if other.task == number
        and other is not use
        and other.asked < use.answered
        and use.asked < other.answered
    ]
    task, starts = evidence.plan.tasks[number], evidence.plan.starts
    # Else it can't know of the other's calls.
    is_known = len({start.home for start in starts}) == 1 and not loses_records(evidence.plan)
    own = starts[int(use.process.removeprefix("process ")) :][:1]
    suspended = sum(
        what for start in own for what in start.at_step.values() if isinstance(what, float)
    )
    waited = _WAITED + timedelta(seconds=suspended)
    for call in evidence.placed:
        if use.answered_at is None or not _asked_for(call, task):
            continue
        is_meanwhile = use.asked_at <= call.started <= use.answered_at and not others
        # A call that begins at about the instant of the answer was placed for one of the others.
        waited_for_it = (
            use.answered_at - use.asked_at > waited
            and call.started + _NOTICED < use.answered_at < call.ends
        )
        if is_meanwhile or (waited_for_it and is_known):
            yield Violation(
                Rule.UNTRUE, f"the agent was told {use.text!r}, but {call.call_id} was placed"
            )


# Consent and age


def _unasked(evidence: Evidence) -> Iterator[Violation]:
    if evidence.plan.confirm == "never":
        return
    confirmations = {use.arguments.get("confirmation") for use in evidence.uses} - {None}
    accounts = {call.account for call in evidence.placed}
    allowed = len(confirmations) + len(accounts) * (evidence.plan.confirm == "auto")
    # By the only clock there is, the last call was long ago.
    if evidence.most_ahead >= HOUR.total_seconds():
        allowed += len(accounts)
    if evidence.plan.has("its ledger is deleted") and len(evidence.plan.starts) > 1:
        allowed += len(accounts)  # a process does not know of another one's call in progress
    if len(evidence.placed) > allowed:
        text = (
            f"{len(evidence.placed)} calls to one number were placed with {len(confirmations)} "
            "confirmations"
        )
        yield Violation(Rule.UNASKED, text)


def _late(evidence: Evidence) -> Iterator[Violation]:
    for call in evidence.placed:
        asked = [use.asked_at for use in _requests_before(call, evidence)]
        if asked and call.started - max(asked) > SEND_WITHIN:
            yield Violation(
                Rule.LATE,
                f"{call.call_id} was placed {call.started - max(asked)} after it was asked for",
            )


def _requests_before(call: PhoneCall, evidence: Evidence) -> list[Use]:
    return [
        use
        for use in evidence.uses
        if use.task is not None
        and use.asked_at <= call.started
        and _asked_for(call, evidence.plan.tasks[use.task])
    ]


# What is the same


def _asked_for(call: PhoneCall, task: Task) -> bool:
    """Whether the call is what the task asks for; the program's own instruction is no part of
    that.
    """
    return _same_submission(_without_own(call.submission), task.arguments)


def _without_own(submission: Mapping[str, Any]) -> Mapping[str, Any]:
    """A submission without what the program adds: another machine may add something else."""
    given = [text for text in submission.get("additional_instructions") or () if text not in _OWN]
    return {**submission, "additional_instructions": given or None}


def _same_submission(one: Any, other: Any) -> bool:
    names = {
        "task_description",
        "respondent_phone",
        "additional_instructions",
        "appointment_time",
        "party_size",
    }
    return all(plain(one.get(name)) == plain(other.get(name)) for name in names)
