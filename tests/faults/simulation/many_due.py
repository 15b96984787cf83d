"""Simulated runs in which thousands of calls are due at one moment beside an ordinary call."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from tests.faults.simulation.plan import MANY, NUMBER, Ask, Event, Plan, Start, Task
from tests.faults.simulation.run import Evidence
from tests.faults.simulation.seeds import disturbances
from tests.faults.simulation.service import PhoneCall
from tests.faults.violations import Rule, Violation

WINDOW = timedelta(seconds=1800)

_AT_ONCE, _IN_PROGRESS = 100, 500
"""How many due calls a process may begin at one instant, and have in progress."""

_DUE = 60.0

_SOON = timedelta(seconds=5)
"""So long after it was asked for, an ordinary call is placed, if nothing fails."""


def many_due_plan(seed: int, *, is_shared: bool = False) -> Plan:
    """The plan of a seed, always the same: the calls are due after a minute, and an ordinary one is asked for then."""
    rng = random.Random(f"many due {seed} {is_shared}")  # noqa: S311 - it has to be repeatable, not secret
    arguments = {"task_category": "general", "task_description": "Ask for the hours", "respondent_phone": NUMBER}
    events: tuple[Event, ...] = (
        Event(1, "many calls are due", number=rng.choice((1000, 1000, 2000)), seconds=_DUE - 1),
    )
    starts: tuple[Start, ...] = (Start(), Start()) if is_shared or rng.random() < 0.5 else (Start(),)
    if rng.random() < 0.6:
        moments = [_DUE, _DUE + 95, _DUE + 200]
        around = disturbances(rng, moments, lambda: rng.uniform(-10, 40), is_shared=is_shared, back_after=500.0)
        events += tuple(replace(event, seconds=min(event.seconds, 100.0)) for event in around)
    elif rng.random() < 0.5:  # nothing runs until all of them are too late
        events += tuple(Event(_DUE - 5, "is killed", process=number) for number in range(2))
        starts += (Start(at=_DUE + WINDOW.total_seconds() + 60),)
    at = _DUE + (rng.uniform(0, 300) if len(starts) < 3 else 2000)
    return Plan(
        "thousands of calls are due", (Task(arguments),), (Ask(at, until_told=True),), events, starts, seed=seed
    )


def find_violations_of_many(evidence: Evidence) -> Iterator[Violation]:
    """Each due call is placed at most once and when it is due, or has ended with a reason; other calls go on."""
    calls = defaultdict[str, list[PhoneCall]](list)
    for call in evidence.service.placed():
        if call.submission["task_description"] == MANY:
            calls[call.submission["respondent_phone"]].append(call)
    for row in evidence.many:
        placed = calls[row["number"]]
        if len(placed) > 1:
            yield Violation(Rule.TWICE, f"{row['tracking_id']} was placed {len(placed)} times")
        elif not placed and (row["state"] != "expired" or not row["error"]):
            yield Violation(Rule.STUCK, f"{row['tracking_id']} is {row['state']}, but was not placed")
        elif placed and (row["state"], row["call_id"]) != ("ended", placed[0].call_id):
            yield Violation(Rule.LOST, f"{row['tracking_id']} is {row['state']}, but {placed[0].call_id} was placed")
        for call in placed:
            after = call.started.timestamp() - row["not_before"]
            if not 0 <= after <= WINDOW.total_seconds() + 5:
                yield Violation(Rule.LATE, f"{row['tracking_id']} was placed {after:.0f} s after it was due")
    yield from _too_many([call for placed in calls.values() for call in placed])
    if [event.what for event in evidence.plan.events] == ["many calls are due"]:
        yield from _held_up(evidence)


def _too_many(calls: list[PhoneCall]) -> Iterator[Violation]:
    for sender in sorted({call.sender for call in calls}):
        mine = sorted((call for call in calls if call.sender == sender), key=lambda call: call.started)
        for place, call in enumerate(mine):
            begun = sum(other.started == call.started for other in mine[place : place + _AT_ONCE + 1])
            in_progress = sum(other.ends > call.started for other in mine[:place])
            if begun > _AT_ONCE or in_progress >= _IN_PROGRESS:
                text = f"{sender} began {begun} calls at once, while {in_progress} were in progress"
                yield Violation(Rule.TOO_MANY, text)
                break


def _held_up(evidence: Evidence) -> Iterator[Violation]:
    """Where nothing fails, all of them are placed, and an ordinary call is not held up."""
    for row in evidence.many:
        if row["state"] != "ended":
            yield Violation(Rule.STUCK, f"{row['tracking_id']} is {row['state']} although nothing failed")
    asked = evidence.uses[0].asked_at if evidence.uses else None
    if asked is None or not any(asked <= call.started <= asked + _SOON for call in evidence.placed):
        yield Violation(Rule.STUCK, f"the call that was asked for at {asked} was not placed at once")
