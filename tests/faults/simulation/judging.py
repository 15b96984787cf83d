"""What the oracles of all simulated runs share."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import combinations

from tests.faults.simulation.ledgers import Row
from tests.faults.simulation.plan import Plan
from tests.faults.simulation.run import ACTIVE, Evidence, Use
from tests.faults.simulation.service import PhoneCall, plain


class Rule(StrEnum):
    """What a run must not do, whatever fails in it. Each oracle judges by some of these."""

    TWICE = "placed twice"
    LOST = "outcome lost"
    STUCK = "record stuck"
    UNTRUE = "not true"
    UNASKED = "placed without the user's yes"
    LATE = "placed too early or too late"
    ACCOUNT = "placed on another account"
    FAILED = "server failed or hung"
    KEPT = "kept too long"
    BODY = "key sent with another body"
    TOLD = "planned call told twice or never"


@dataclass(frozen=True)
class Violation:
    """One violation of a rule, and what happened."""

    rule: Rule
    text: str


PLACING = ("make_call", "call_around")
"""The tools that place calls."""

HOUR = timedelta(seconds=3590)
MINUTE = timedelta(minutes=1)
SEND_WITHIN = timedelta(seconds=125)
"""An hour, and the two minutes within which a request leaves, with some tolerance."""

_LOOKED_BACK = timedelta(seconds=140)
_LOOKED_AHEAD = timedelta(seconds=620)
"""Around a request, calls of this time can be taken for the one that it placed."""


def report(evidence: Evidence, violations: list[Violation], command: str) -> str:
    """All that a developer needs to understand the run and to repeat it."""
    calls = [
        f"  {call}"
        for call in evidence.service.calls
        if call.is_ours or call.submission.get("task_description")
    ]
    return "\n".join(
        [
            command,
            evidence.plan.describe(),
            *(f"VIOLATED {violation.rule}: {violation.text}" for violation in violations),
            "what happened:",
            *evidence.log,
            "the service's calls:",
            *calls[:20],
            "the ledger's rows:",
            *(f"  {json.dumps(row, default=str)}" for row in evidence.rows),
        ]
    )


def unknown_calls(evidence: Evidence) -> int:
    """How many calls were placed whose outcome is unknown at the end, and whose ledger was not
    deleted.
    """
    bound = {row["call_id"] for row in evidence.rows if row["state"] == "ended"}
    return sum(
        call.call_id not in bound and not is_deleted(call, evidence) for call in evidence.placed
    )


def find_lost(evidence: Evidence) -> Iterator[Violation]:
    """Every call that was placed has its outcome in the ledger."""
    for call in evidence.placed:
        status = evidence.service.status_of(call)
        if ended_row(call, evidence) is None and not may_be_unknown(call, evidence):
            yield Violation(Rule.LOST, f"call {call.call_id} is {status}, but no ledger says so")


def ended_row(call: PhoneCall, evidence: Evidence) -> Row | None:
    """The row that has the outcome of a call."""
    rows = (
        row for row in evidence.rows if row["call_id"] == call.call_id and row["state"] == "ended"
    )
    status = evidence.service.status_of(call)
    return next((row for row in rows if json.loads(row["outcome"])["status"] == status), None)


def find_stuck(evidence: Evidence) -> Iterator[Violation]:
    """Every record has an end, and a call that was not placed has none at the service."""
    for row in evidence.rows:
        if row["state"] in (*ACTIVE, "scheduled"):
            yield Violation(Rule.STUCK, f"{row['tracking_id']} is still {row['state']}")
        elif row["state"] in ("refused", "expired", "canceled") and not _has_another_row(
            row, evidence
        ):
            yield from (
                Violation(
                    Rule.UNTRUE, f"{row['tracking_id']} is {row['state']}, but its call was placed"
                )
                for call in evidence.placed
                if (call.account, call.key) == (row["account"], row["idempotency_key"])
            )
    for found in evidence.lists:
        if found["why"] is None:
            yield Violation(Rule.STUCK, f"the list {found['list_id']} still goes on")


def _has_another_row(row: Row, evidence: Evidence) -> bool:
    """Whether there is another record for the same key, or was one until its ledger was deleted."""
    if any(
        call.key == row["idempotency_key"] and is_deleted(call, evidence)
        for call in evidence.placed
    ):
        return True
    return any(
        other["idempotency_key"] == row["idempotency_key"]
        and other["tracking_id"] != row["tracking_id"]
        for other in evidence.rows
    )


def find_failed(evidence: Evidence) -> Iterator[Violation]:
    """The program itself makes no error."""
    for text in evidence.errors:
        yield Violation(Rule.FAILED, text)
    for use in evidence.uses:
        if (
            "internal_error" in use.text
            or "kallyai-mcp itself" in use.text
            or use.text.startswith("Internal")
        ):
            yield Violation(Rule.FAILED, f"the agent was told {use.text!r}")


def calls_by_account(evidence: Evidence) -> list[list[PhoneCall]]:
    """The calls of each account, oldest first: no account knows of the calls of another."""
    ordered = sorted(evidence.placed, key=lambda call: call.started)
    return [
        [c for c in ordered if c.account == account]
        for account in sorted({c.account for c in ordered})
    ]


def find_shared(evidence: Evidence) -> Iterator[Violation]:
    """No two records of a ledger have the outcome of one call."""
    of_calls = Counter(row["call_id"] for row in evidence.rows if row["call_id"] is not None)
    if len({start.home for start in evidence.plan.starts}) == 1:
        for call_id, count in of_calls.items():
            if count > 1:
                yield Violation(Rule.UNTRUE, f"{count} records have the outcome of {call_id}")


def find_over_limit(evidence: Evidence) -> Iterator[Violation]:
    """No more calls an hour than the setting allows."""
    limit = evidence.plan.calls_per_hour
    if limit is None or evidence.plan.has("has its clock set"):
        return
    for calls in calls_by_account(evidence):
        for first, beyond in zip(calls, calls[limit:], strict=False):
            if beyond.started - first.started < HOUR - SEND_WITHIN:
                yield Violation(
                    Rule.UNASKED, f"{beyond.call_id} is one more than {limit} in an hour"
                )


def find_unasked_account(evidence: Evidence) -> Iterator[Violation]:
    """No call is placed on an account on which nobody asked for one."""
    asked = {a for use in evidence.uses if use.tool in PLACING for a in use.accounts}
    for call in evidence.placed:
        if call.account not in asked:
            yield Violation(
                Rule.ACCOUNT, f"{call.call_id} was placed on an account that nobody asked on"
            )


def find_placed_after_cancel(evidence: Evidence) -> Iterator[Violation]:
    """Nothing is placed after the agent canceled a call or a list, but what was in progress
    then.
    """
    for use in evidence.uses:
        if use.tool != "cancel_call" or use.answered_at is None or use.status is None:
            continue
        if _has_newer_request(use, evidence):
            continue
        mine = [call for call in evidence.placed if _may_be_canceled_by(use, call, evidence)]
        asked = [
            one.asked_at
            for one in evidence.uses
            if one.tool in PLACING and one.asked_at >= use.asked_at and one.task == use.task
        ]
        until = min(asked, default=datetime.max.replace(tzinfo=UTC))
        later = [call for call in mine if use.answered_at < call.started < until]
        in_progress = any(call.started <= use.answered_at <= call.ends for call in mine)
        if use.status == "in_progress" and not in_progress:
            was_about_to_leave = [
                c for c in later[:1] if c.started <= use.answered_at + SEND_WITHIN
            ]
            later = later[len(was_about_to_leave) :]
        for call in later:
            yield Violation(
                Rule.UNASKED, f"{call.call_id} was placed after the agent was told: {use.text}"
            )


def _may_be_canceled_by(cancel: Use, call: PhoneCall, evidence: Evidence) -> bool:
    """Whether a call may be one that the agent canceled; it cancels one of several lists."""
    tasks = evidence.plan.tasks
    if call.account != cancel.account:
        return False
    if cancel.task is None or len(tasks) == 1 or not tasks[cancel.task].endings:
        return True
    return call.submission["respondent_phone"] in tasks[cancel.task].endings


def has_shown_talk(call: PhoneCall, at: datetime, evidence: Evidence) -> bool:
    """Whether the service shows at a time that somebody talked in a call."""
    if call.status == "success":
        return True
    shown_at = call.ends + timedelta(seconds=evidence.plan.quirks.words_late)
    return call.callee_spoke and shown_at <= at


def find_kept(evidence: Evidence) -> Iterator[Violation]:
    """A process that starts deletes what is old by its clock, told or not, unless something happens
    to it.
    """
    plan = evidence.plan
    if plan.events or any(start.at_step for start in plan.starts):
        return
    for start in plan.starts:
        began = plan.begins.timestamp() + start.at  # what is heard later, it does not delete
        until = min(began, began + start.ahead - _kept_for(evidence))
        for row in evidence.rows:
            heard = [row[name] for name in ("placed_at", "sent_at", "response_lost_at", "ended_at")]
            newest = max(at for at in heard if at is not None)
            if row["state"] in _GOES and newest < until:
                yield Violation(Rule.KEPT, f"{row['tracking_id']} is still {row['state']}")


_GOES = ("ended", "refused", "canceled", "expired", "unknown")
"""The states of calls that are over."""


def _has_newer_request(cancel: Use, evidence: Evidence) -> bool:
    """Whether the agent had asked for a call anew, after the end of the one that it cancels."""
    return any(
        one.tool in PLACING
        and one.asked < cancel.asked
        and one.answer is not None
        and one.status in ("in_progress", "scheduled")
        and one.answer.data["tracking_id"] != cancel.arguments["call_id"]
        for one in evidence.uses
    )


def find_changed_bodies(evidence: Evidence) -> Iterator[Violation]:
    """No key is sent with another body than before, unless the record of it was not there."""
    has_two_ledgers = len({start.home for start in evidence.plan.starts}) > 1
    if has_two_ledgers or evidence.plan.has("its ledger is deleted") or may_be_old(evidence):
        return
    for key, bodies in evidence.service.bodies.items():
        if any(body != bodies[0] for body in bodies):
            yield Violation(Rule.BODY, f"{key} was sent with different bodies: {bodies}")


def find_called_after_opt_out(evidence: Evidence) -> Iterator[Violation]:
    """Nobody is called who has asked not to be called again, unless the user was asked since."""
    if _may_not_know_of_opt_outs(evidence):
        return
    for calls in calls_by_account(evidence):
        for before, call in combinations(calls, 2):
            row = ended_row(before, evidence) if before.opts_out else None
            if row is None or _number_of(before) != _number_of(call):
                continue
            known_at = datetime.fromtimestamp(row["ended_at"], UTC)
            is_later = call.started > known_at + SEND_WITHIN
            if is_later and not _was_confirmed(known_at, call, evidence):
                text = f"{call.call_id} was placed after {before.call_id}, which opted out"
                yield Violation(Rule.UNASKED, text)


def _may_not_know_of_opt_outs(evidence: Evidence) -> bool:
    """Whether a transcript was perhaps not read, or a ledger is gone, or there are several."""
    plan = evidence.plan
    has_two_ledgers = len({start.home for start in plan.starts}) > 1
    is_lost = loses_records(plan) or plan.has("has its clock set")
    has_other_clock = any(start.ahead for start in plan.starts)
    return bool(plan.look_troubles) or has_two_ledgers or is_lost or has_other_clock


def _number_of(call: PhoneCall) -> str:
    return str(call.submission["respondent_phone"])


def _was_confirmed(since: datetime, call: PhoneCall, evidence: Evidence) -> bool:
    """Whether the agent has passed on a yes between an opt-out and a call."""
    return any(
        use.arguments.get("confirmation") and since <= use.asked_at <= call.started
        for use in evidence.uses
    )


SHARED = (
    find_lost,
    find_stuck,
    find_failed,
    find_shared,
    find_over_limit,
    find_unasked_account,
    find_placed_after_cancel,
    find_kept,
    find_changed_bodies,
    find_called_after_opt_out,
)
"""The checks of every run."""


def may_be_unknown(call: PhoneCall, evidence: Evidence) -> bool:
    """Whether the service's answers, or a deleted ledger, left no way to know what became of the
    call.
    """
    if _may_be_deleted(call, evidence):
        return True
    quirks = evidence.service.quirks
    unknown = [
        row
        for row in evidence.rows
        if row["state"] == "unknown"
        and row["account"] == call.account
        and _fits(row, call, evidence)
    ]
    if not unknown:
        return False
    if not quirks.has_dates or quirks.echo == "nothing" or _is_undated(call, evidence):
        return True
    clock = timedelta(seconds=_difference(evidence))
    near = [
        other
        for other in evidence.service.calls
        if other.account == call.account
        and -_LOOKED_BACK - clock < other.started - call.started < _LOOKED_AHEAD + clock
        and any(_fits(row, other, evidence) for row in unknown)
    ]
    return len(near) > 1 or len(unknown) > 1


def is_deleted(call: PhoneCall, evidence: Evidence) -> bool:
    """Whether the ledger or its user was deleted when the record of a call was in it."""
    times = (*evidence.times_of("its ledger is deleted"), *evidence.times_of("its user is deleted"))
    return any(at > call.started - SEND_WITHIN for at in times)


def loses_records(plan: Plan) -> bool:
    """Whether records are deleted in a run."""
    return plan.has("its ledger is deleted") or plan.has("its user is deleted")


def _may_be_deleted(call: PhoneCall, evidence: Evidence) -> bool:
    return is_deleted(call, evidence) or may_be_old(evidence)


def may_be_old(evidence: Evidence) -> bool:
    """Whether by the clock of some process, a record of the run is so old that it is deleted."""
    return evidence.most_ahead >= _kept_for(evidence)


def over_at(call: PhoneCall, evidence: Evidence) -> datetime:
    """Since when the process that sent a call runs it no more."""
    return min(call.ends, evidence.ended.get(call.sender, call.ends))


def _kept_for(evidence: Evidence) -> float:
    """The seconds after which a record is deleted."""
    return max(evidence.plan.keep_days, 1) * 86400


def _is_undated(call: PhoneCall, evidence: Evidence) -> bool:
    """Whether nothing tells when the call's request left by the service's clock.

    The process that sends the request asks for the time before; if in vain, it writes it down with
    the next response. So it must have ended before, or another account have signed in, and the
    clock must have been set, or the next process have another one.
    """
    ends = (evidence.ended.get(call.sender), *evidence.times_of("someone else signs in"))
    end = min((at for at in ends if at is not None), default=None)
    sets = [at for at in evidence.times_of("has its clock set") if at >= call.started]
    is_set = sets or len({start.ahead for start in evidence.plan.starts}) > 1
    if end is None or not is_set or not evidence.plan.look_troubles:
        return False
    down = [event for event in evidence.plan.events if event.what == "its ledger fails"]
    dated = [at for name, at in evidence.service.dated if name == call.sender]
    return all(
        at > end - _WRITTEN_WITHIN
        or any(
            0 <= (at - evidence.plan.begins).total_seconds() - each.at <= each.seconds
            for each in down
        )
        for at in dated
    )


_WRITTEN_WITHIN = timedelta(seconds=1)
"""So long after a response, what it told may not be written down yet."""


def _difference(evidence: Evidence) -> float:
    """How far a process's clock differs from the service's at the start, in seconds."""
    return max(
        abs(start.ahead - evidence.service.quirks.clock_ahead) for start in evidence.plan.starts
    )


def _fits(row: Row, call: PhoneCall, evidence: Evidence) -> bool:
    """Whether what the service repeats of `call` agrees with the submission of `row`."""
    asked = json.loads(row["submission"])
    names = (
        evidence.service.quirks.repeated(call.submission) & asked.keys() & call.submission.keys()
    )
    return all(plain(asked[name]) == plain(call.submission[name]) for name in names)
