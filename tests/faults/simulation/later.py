"""Simulated runs of calls that are due later and of calls that are placed again, with an oracle of their own."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from tests.faults.simulation.oracle import Rule, Violation
from tests.faults.simulation.plan import Ask, Event, Plan, Start, Task, What
from tests.faults.simulation.run import ACTIVE, Evidence, Use
from tests.faults.simulation.seeds import BROKEN, STATUSES_AFTER
from tests.faults.simulation.service import PhoneCall, Quirks, Trouble
from tests.faults.simulation.world import NOON

WINDOW = timedelta(seconds=1800)
PAUSE = timedelta(minutes=15)
_REQUEST = timedelta(seconds=5)
"""How long a request takes at most from the check of its time until it reaches the service."""

_ZONES = {"+14155551234": "America/Los_Angeles", "+442079460123": "Europe/London"}
"""Two numbers: one that is called by day, one that is called until the end of the day."""

_EVENTS: tuple[What, ...] = (
    "is killed",
    "is terminated",
    "is stopped",
    "is suspended with its machine",
    "someone else signs in",
    "its ledger fails",
    "its ledger fails to confirm",
)


def later_plan(seed: int, *, is_shared: bool = False) -> Plan:
    """The plan of a seed, always the same: one call, due later or placed again, and what happens around its times."""
    rng = random.Random(f"later {seed} {is_shared}")  # noqa: S311 - it has to be repeatable, not secret
    due = rng.choice((None, 600.0, 1800.0, 3600.0)) if seed % 3 else None
    retries = rng.choice((1, 2, 3)) if due is None else rng.choice((0, 0, 1, 3))
    arguments: dict[str, object] = {
        "task_category": "general",
        "task_description": "Ask for the opening hours",
        "respondent_phone": rng.choice(tuple(_ZONES)),
    }
    arguments |= {"retries": retries} if retries else {}
    arguments |= {"not_before": (NOON + timedelta(seconds=due)).isoformat()} if due is not None else {}
    ending = rng.choice(("busy", "no_answer", "busy", "success", "voicemail")) if retries else "success"
    moments = [due or 0.0, (due or 0.0) + 900.0, (due or 0.0) + 60]
    asks = [
        Ask(0, waits=False, cancels_at=rng.choice((None, None, max(1.0, rng.choice(moments) + rng.uniform(-30, 90)))))
    ]
    if rng.random() < 0.5:  # the same again, before and after
        asks.append(Ask(rng.uniform(1, 3000), process=rng.randrange(2), waits=False, retyped=rng.random() < 0.5))
    events = []
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = max(0.5, rng.choice(moments) + rng.choice((-1.0, 0.0, 1.0)) * rng.uniform(0, 40))
        what = rng.choice(_EVENTS)
        events.append(Event(at, what, process=rng.randrange(2), seconds=rng.choice((5.0, 100.0, 2500.0))))
        if what == "someone else signs in":
            events.append(Event(at + rng.choice((30.0, 2500.0)), "the user signs in again"))
    if rng.random() < 0.2 and not is_shared:
        at = rng.choice(moments) + rng.uniform(1, 60)
        events.append(Event(at, "has its clock set", seconds=rng.choice((-3600.0, -90.0, 90.0, 1000.0, 4000.0))))
    if rng.random() < 0.2:  # nothing runs for long, and then somebody asks
        events += [Event(max(1.0, (due or 900.0) - 5), "is killed", process=number) for number in range(2)]
        asks.append(Ask((due or 900.0) + rng.choice((600.0, 2400.0)), waits=False))
    steps: dict[int, float | Literal["kill"]] = (
        {rng.randrange(30): rng.choice(("kill", 100.0, 2500.0))} if rng.random() < 0.4 else {}
    )
    starts = (Start(at_step=steps), Start()) if is_shared or rng.random() < 0.6 else (Start(at_step=steps),)
    troubles: tuple[Trouble, ...] = ()
    if rng.random() < 0.4:
        answer = rng.choice((*STATUSES_AFTER, *BROKEN))
        troubles = (Trouble(answer, placed=True, delay=rng.choice((0.0, 10.0))),)
    return Plan(
        "a call for later or again",
        (Task(arguments, ending),),
        tuple(asks),
        seed=seed,
        starts=starts,
        events=tuple(events),
        troubles=troubles,
        quirks=replace(Quirks(), answers_at_once=rng.random() < 0.3),
        mode=rng.choice(("auto", "legacy")),
    )


def find_later_violations(evidence: Evidence) -> list[Violation]:
    """Every violation in the run."""
    checks = (_times, _attempts, _canceled, _untrue, _lost, _stuck, _failed)
    return [violation for check in checks for violation in check(evidence)]


def _jump(evidence: Evidence) -> tuple[timedelta, timedelta]:
    """How far the ledger's clock may be behind and ahead of the true time."""
    jumps = [event.seconds for event in evidence.plan.events if event.what == "has its clock set"]
    return (
        timedelta(seconds=-sum(min(jump, 0) for jump in jumps)),
        timedelta(seconds=sum(max(jump, 0) for jump in jumps)),
    )


def _arguments(evidence: Evidence) -> tuple[datetime | None, int, ZoneInfo]:
    arguments = evidence.plan.tasks[0].arguments
    due = datetime.fromisoformat(arguments["not_before"]) if "not_before" in arguments else None
    return due, int(arguments.get("retries", 0)), ZoneInfo(_ZONES[arguments["respondent_phone"]])


def _requests(evidence: Evidence) -> Iterator[list[PhoneCall]]:
    """The calls of each account, oldest first, by the request that they were placed for.

    No account knows of the calls of another. One use of `make_call` is the reason for one new request at most.
    """
    for account in sorted({call.account for call in evidence.placed}):
        calls = sorted((c for c in evidence.placed if c.account == account), key=lambda call: call.started)
        request, used = calls[:1], set[int]()
        for call in calls[1:]:
            anew = [use.asked for use in _asked_anew(request[-1], call, evidence) if use.asked not in used]
            if anew:
                used.add(anew[0])
                yield request
                request = []
            request.append(call)
        yield request


def _asked_anew(before: PhoneCall, call: PhoneCall, evidence: Evidence) -> Iterator[Use]:
    """The uses by which the agent asked for `call` when nothing more was to come of the request of `before`."""
    for use in evidence.uses:
        is_between = before.ends <= use.asked_at <= call.started and call.account in use.accounts
        if use.tool == "make_call" and is_between and _is_over(before, use, evidence):
            yield use


def _is_over(before: PhoneCall, asked: Use, evidence: Evidence) -> bool:
    """Whether the agent was told the end of the request before it asked; or its next attempt had expired by then."""
    _, ahead = _jump(evidence)
    if asked.asked_at > before.ends + PAUSE + WINDOW - ahead:
        return True
    return any(_may_have_told(use, asked) and before.account in use.accounts for use in evidence.uses)


def _may_have_told(use: Use, asked: Use) -> bool:
    """Whether the answer to `use` was the end of a request, or was lost on its way, before the agent asked."""
    if use.answer is None:
        return use.asked < asked.asked
    return use.answered < asked.asked and _is_end(use)


def _is_end(use: Use) -> bool:
    return use.text.startswith("Not called") or (use.is_outcome and use.status != "scheduled")


def _times(evidence: Evidence) -> Iterator[Violation]:
    """No attempt before its time, none after its window, and every retry in the callee's day."""
    behind, ahead = _jump(evidence)
    due, _, zone = _arguments(evidence)
    for calls in _requests(evidence):
        first = calls[0]
        if due is not None and first.started < due - ahead:
            yield Violation(Rule.LATE, f"{first.call_id} was placed at {first.started}, before {due}")
        if due is not None and first.started > due + WINDOW + behind + _REQUEST:
            yield Violation(Rule.LATE, f"{first.call_id} was placed at {first.started}, long after {due}")
        for before, call in pairwise(calls):
            if call.started < before.ends + PAUSE - ahead - timedelta(seconds=1):
                yield Violation(Rule.LATE, f"{call.call_id} came {call.started - before.ends} after the one before it")
            there = call.started.astimezone(zone)
            if not (8, 0) <= (there.hour, there.minute) <= (21, 30) and not (ahead or behind):
                yield Violation(Rule.LATE, f"{call.call_id} was placed at {there} there")


def _attempts(evidence: Evidence) -> Iterator[Violation]:
    """As many calls as the consent covers, and one more only after nobody was reached."""
    _, retries, _ = _arguments(evidence)
    for calls in _requests(evidence):
        if len(calls) > 1 + retries:
            yield Violation(Rule.TWICE, f"{len(calls)} calls were placed; {1 + retries} attempts were allowed")
        for before, call in pairwise(calls):
            if before.status not in ("busy", "no_answer"):
                text = f"{call.call_id} was placed after {before.call_id} had ended: {before.status}"
                yield Violation(Rule.TWICE, text)


def _untrue(evidence: Evidence) -> Iterator[Violation]:
    """The agent is not told that a call is scheduled when it is too late to place it."""
    for use in evidence.uses:
        data = use.answer.data if use.answer is not None else {}
        if use.status != "scheduled" or not data.get("scheduled_for"):
            continue
        behind, _ = _jump(evidence)
        late = datetime.fromisoformat(data["scheduled_for"]) + WINDOW + behind
        if use.asked_at > late:
            yield Violation(Rule.UNTRUE, f"at {use.asked_at} the agent was told: {use.text}")


def _canceled(evidence: Evidence) -> Iterator[Violation]:
    """Nothing is placed after the agent was told that the call is canceled."""
    for use in evidence.uses:
        if use.tool == "cancel_call" and use.status == "canceled" and use.answered_at is not None:
            for call in (call for call in evidence.placed if call.account == use.account):
                asked_since = any(
                    other.tool == "make_call" and use.asked_at <= other.asked_at <= call.started
                    for other in evidence.uses
                )
                if call.started > use.answered_at and not asked_since:
                    yield Violation(Rule.UNASKED, f"{call.call_id} was placed after it was canceled")


def _lost(evidence: Evidence) -> Iterator[Violation]:
    """Every call that was placed has its outcome in the ledger."""
    for call in evidence.placed:
        rows = [row for row in evidence.rows if row["call_id"] == call.call_id]
        if not any(row["state"] == "ended" for row in rows) and not _may_be_unknown(evidence):
            yield Violation(Rule.LOST, f"call {call.call_id} is {call.status}, but no ledger says so")


def _may_be_unknown(evidence: Evidence) -> bool:
    return evidence.plan.has("has its clock set") and any(row["state"] == "unknown" for row in evidence.rows)


def _stuck(evidence: Evidence) -> Iterator[Violation]:
    for row in evidence.rows:
        if row["state"] in (*ACTIVE, "scheduled"):
            yield Violation(Rule.STUCK, f"{row['tracking_id']} is still {row['state']}")
        placed = [call for call in evidence.placed if call.key == row["idempotency_key"]]
        if row["state"] in ("refused", "expired", "canceled") and placed:
            yield Violation(Rule.UNTRUE, f"{row['tracking_id']} is {row['state']}, but its call was placed")


def _failed(evidence: Evidence) -> Iterator[Violation]:
    for text in evidence.errors:
        yield Violation(Rule.FAILED, text)
    for use in evidence.uses:
        if "internal_error" in use.text or "kallyai-mcp itself" in use.text or use.text.startswith("Internal"):
            yield Violation(Rule.FAILED, f"the agent was told {use.text!r}")
