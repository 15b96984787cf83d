"""Simulated runs of calls that are due later, and of calls that are placed again, with an oracle of
their own.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import combinations, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from tests.faults.simulation.judging import (
    HOUR,
    MINUTE,
    SHARED,
    Rule,
    Violation,
    calls_by_account,
    ended_row,
    has_shown_talk,
)
from tests.faults.simulation.news import find_untold
from tests.faults.simulation.plan import Ask, Event, Plan, Start, question
from tests.faults.simulation.run import Evidence, Use
from tests.faults.simulation.seeds import (
    disturbed_around,
    hanging_plan,
    sometimes_canceled,
    with_opt_outs,
)
from tests.faults.simulation.service import ENDINGS, TALKED, PhoneCall, Quirks, Trouble
from tests.faults.simulation.world import NOON

WINDOW = timedelta(seconds=1800)

PAUSE = timedelta(minutes=15)
_REQUEST = timedelta(seconds=5)
"""How long a request takes at most from the check of its time until it reaches the service."""

_TRIED_AGAIN = 60.0
"""The most seconds until a call that waits is tried again, beside the pause that KallyAI asks
for.
"""

_LOOKED = timedelta(seconds=30)
"""At most so long it takes until a process notices what is due, or that another one has died."""

_PAUSES = ("is stopped", "is suspended with its machine")
"""Events in which a process does nothing for a time."""

_EVENING = datetime(2026, 1, 26, 20, 20, tzinfo=UTC)
"""Forty minutes before the night begins in London."""

_NIGHT = time(21)

_ZONES = {"+14155551234": "America/Los_Angeles", "+442079460123": "Europe/London"}
"""Two numbers: one that is called by day, one that is called until the end of the day."""


def later_plan(seed: int, *, is_shared: bool = False) -> Plan:
    """The plan of a seed, always the same: one call, due later or placed again, and what happens
    around its times.

    Every fiftieth has thousands of calls that are due at one moment; every tenth has one that can't
    be placed when it is due, and waits; and every tenth has look-ups that hang.
    """
    if seed % 10 == 4:
        return hanging_plan(seed, is_shared=is_shared)
    if seed % 50 == 49:
        return _many_due_plan(seed, is_shared=is_shared)
    if seed % 10 == 7:
        return _waiting_plan(seed, is_shared=is_shared)
    rng = random.Random(f"later {seed} {is_shared}")  # noqa: S311 - it has to be repeatable, not secret
    number = rng.choice(tuple(_ZONES))
    begins = rng.choice((NOON, _EVENING))
    due = rng.choice((None, None, 600.0, 1800.0, 3600.0))
    not_before = (
        {} if due is None else {"not_before": (begins + timedelta(seconds=due)).isoformat()}
    )
    retries = rng.choice((1, 2, 3)) if due is None else rng.choice((0, 0, 1, 3))
    more = not_before | ({"retries": retries} if retries else {})
    ending = (
        rng.choice(("busy", "no_answer", "busy", "success", "voicemail")) if retries else "success"
    )
    first = due or 0.0
    if rng.random() < 0.25:
        after = timedelta(seconds=first + rng.choice((300.0, 1000.0, 1500.0)))
        more |= _appointment_at(begins + after, ZoneInfo(_ZONES[number]))
    task = question(ending, number, **more)
    again = _next_due(begins + timedelta(seconds=first), ZoneInfo(_ZONES[number])) - begins
    moments = [first, again.total_seconds(), first + 60]
    asks = [
        sometimes_canceled(rng, Ask(0, waits=False), calls=1 + min(retries, 1), is_shared=is_shared)
    ]
    if due is not None and rng.random() < 0.3:
        at = max(1.0, due + rng.uniform(-30, 90))
        asks = [
            Ask(0, waits=False, cancels_at=at, canceled_by=rng.randrange(2) if is_shared else None)
        ]
    if rng.random() < 0.5:  # the same again, before and after
        asks.append(
            Ask(
                rng.uniform(1, 3000),
                process=rng.randrange(2),
                waits=False,
                retyped=rng.random() < 0.5,
            )
        )
    events: tuple[Event, ...] = ()
    if rng.random() < 0.2:  # nothing runs for long, and then somebody asks
        at = moments[0] or moments[1]
        events += tuple(Event(max(1.0, at - 5), "is killed", process=number) for number in range(2))
        asks.append(Ask(at + rng.choice((600.0, 2400.0)), waits=False))
    if rng.random() < 0.3:  # the same again, soon after the first call has ended
        asks[0] = replace(asks[0], waits=True)
        asks.append(Ask(first + ENDINGS[ending] + rng.choice((2, 20, 50, 70, 300)), waits=False))
    words_late = 0.0
    if retries and ending in ("busy", "no_answer") and rng.random() < 0.4:
        ending, words_late = TALKED, rng.choice((1.0, 60.0, 600.0, 890.0, 1500.0))
        if rng.random() < 0.5:
            asks[0] = replace(asks[0], looks_at=moments[0] + rng.uniform(40, 2000))
    plan = Plan(
        "a call for later or again",
        (replace(task, ending=ending),),
        tuple(asks),
        events,
        seed=seed,
        quirks=Quirks(words_late=words_late),
        begins=begins,
    )
    plan = disturbed_around(rng, plan, moments, 40, is_shared=is_shared, back_after=2500.0)
    if rng.random() < 0.2:
        at = max(0.1, rng.choice(moments) + rng.choice((-1.0, 0.0, 0.0, 1.0)))
        back = Event(at + rng.choice((30.0, 600.0, 2500.0)), "the user signs in again")
        plan = replace(plan, events=(*plan.events, Event(at, "the user signs out"), back))
    refusals = tuple(_refusal(rng) for _ in range(rng.choice((0, 0, 0, 1, 2))))
    return with_opt_outs(replace(plan, troubles=(*refusals, *plan.troubles)))


def _refusal(rng: random.Random) -> Trouble:
    """An answer after which a due call waits. With 429, the call may have been placed."""
    if rng.random() < 0.3:
        return Trouble(401)
    return Trouble(
        429,
        placed=rng.random() < 0.5,
        delay=rng.choice((0.0, 10.0)),
        retry_after=rng.choice((None, 20, 45, 120, 600, 1500)),
    )


def _waiting_plan(seed: int, *, is_shared: bool) -> Plan:
    """Only what a due call waits for fails, so that it must be placed."""
    rng = random.Random(f"waiting {seed} {is_shared}")  # noqa: S311 - it has to be repeatable, not secret
    due = rng.choice((60.0, 600.0))
    task = question(not_before=(NOON + timedelta(seconds=due)).isoformat())
    events: tuple[Event, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    if rng.random() < 0.4:
        at = due + rng.choice((-10.0, 0.0))
        back = at + rng.choice((5.0, 100.0, 900.0))
        events = (Event(at, "the user signs out"), Event(back, "the user signs in again"))
    else:
        answers = (Trouble(401), Trouble(429, retry_after=45), Trouble(429, retry_after=300))
        troubles = tuple(rng.choice(answers) for _ in range(rng.choice((1, 2, 3))))
    starts = (Start(), Start()) if is_shared or rng.random() < 0.5 else (Start(),)
    asks = (Ask(0, waits=False, looks_at=due + WINDOW.total_seconds()),)  # all fails until then
    title = "a due call waits"
    return Plan(title, (task,), asks, events, starts, troubles=troubles, seed=seed)


def _many_due_plan(seed: int, *, is_shared: bool) -> Plan:
    rng = random.Random(f"many due {seed} {is_shared}")  # noqa: S311 - it has to be repeatable, not secret
    events = [Event(60, "many calls are due", number=2000)]
    starts: tuple[Start, ...] = (Start(), Start())
    if rng.random() < 0.3:  # nothing runs until all of them are too late
        events += [Event(60.1, "is killed", process=number) for number in range(2)]
        starts += (Start(at=60 + WINDOW.total_seconds() + 60),)
    elif rng.random() < 0.6:
        events.append(Event(60 + rng.uniform(0, 60), "is killed"))
    return Plan(
        "thousands of calls are due", (question(),), (Ask(0),), tuple(events), starts, seed=seed
    )


def find_later_violations(evidence: Evidence) -> list[Violation]:
    """Every violation in the run."""
    if evidence.plan.quirks.hangs_for:
        return [violation for check in (_held_up, *SHARED) for violation in check(evidence)]
    if evidence.plan.has("many calls are due"):
        return [violation for check in (_many_due, *SHARED) for violation in check(evidence)]
    if len(evidence.plan.tasks) > 1:  # a call that is planned, and others
        return [violation for check in (find_untold, *SHARED) for violation in check(evidence)]
    checks = (_times, _waited, _ended_by_the_clock, _attempts, _untrue, find_untold, *SHARED)
    return [violation for check in checks for violation in check(evidence)]


def _zone(evidence: Evidence) -> ZoneInfo:
    return ZoneInfo(_ZONES[evidence.plan.tasks[0].arguments["respondent_phone"]])


def _due(arguments: Mapping[str, Any]) -> datetime | None:
    """When a call is due. Of a time there that occurs twice, the first one counts."""
    if "not_before" not in arguments:
        return None
    due = datetime.fromisoformat(arguments["not_before"])
    return (
        due
        if due.tzinfo
        else due.replace(tzinfo=ZoneInfo(_ZONES[arguments["respondent_phone"]])).astimezone(UTC)
    )


def _appointment(evidence: Evidence) -> datetime | None:
    """The time that the call is to ask for, if there is one."""
    arguments = evidence.plan.tasks[0].arguments
    if "appointment_time" not in arguments:
        return None
    at = datetime.fromisoformat(f"{arguments['appointment_date']}T{arguments['appointment_time']}")
    return at.replace(tzinfo=_zone(evidence))


def _appointment_at(moment: datetime, zone: ZoneInfo) -> dict[str, str]:
    """The arguments for an appointment at that time there."""
    there = moment.astimezone(zone)
    return {"appointment_date": f"{there:%Y-%m-%d}", "appointment_time": f"{there:%H:%M}"}


def _is_day(there: datetime) -> bool:
    return 8 <= there.hour < 21


def _latest(due: datetime, evidence: Evidence) -> datetime:
    """Until when a call may be placed that is due then: half an hour, by day, until the
    appointment.
    """
    there, ends = due.astimezone(_zone(evidence)), [due + WINDOW]
    if _is_day(there):
        ends.append(datetime.combine(there.date(), _NIGHT, there.tzinfo))
    if (appointment := _appointment(evidence)) is not None and appointment > due:
        ends.append(appointment)
    return min(ends)


def _next_due(ended: datetime, zone: ZoneInfo) -> datetime:
    """When a call may be placed again at the earliest: after the pause, between 8:00 and 21:00
    there.
    """
    due = ended + PAUSE
    while not _is_day(due.astimezone(zone)):
        due = (due + timedelta(minutes=1)).replace(second=0, microsecond=0)
    return due


def _requests(evidence: Evidence) -> Iterator[list[PhoneCall]]:
    """The calls of each account, oldest first, by the request that they were placed for.

    No account knows of the calls of another. One use of `make_call` is the reason for one new
    request at most.
    """
    for calls in calls_by_account(evidence):
        request, used = calls[:1], set[int]()
        for call in calls[1:]:
            anew = [
                use.asked
                for use in _asked_anew(request[-1], call, evidence)
                if use.asked not in used
            ]
            if anew:
                used.add(anew[0])
                yield request
                request = []
            request.append(call)
        yield request


def _asked_anew(before: PhoneCall, call: PhoneCall, evidence: Evidence) -> Iterator[Use]:
    """The uses of the tool that asked for `call` when nothing more was to come of the request of
    `before`.
    """
    for use in evidence.uses:
        is_between = before.ends <= use.asked_at <= call.started and call.account in use.accounts
        # The time for which it was to be scheduled was past, or the request had not ended, as the
        # answer shows.
        asks_nothing_new = use.text.startswith(
            ("Not called. Fix", "Asked for before; no new call was placed. Scheduled")
        )
        if (
            use.tool == "make_call"
            and is_between
            and not asks_nothing_new
            and _is_over(before, use, evidence)
        ):
            yield use


def _is_over(before: PhoneCall, asked: Use, evidence: Evidence) -> bool:
    """Whether the agent was told the end of the request before it asked; or its next attempt had
    expired by then.

    Within a minute, and within an hour after somebody talked, it asks for the same call.
    """
    _, ahead = evidence.clock_set
    within = (
        HOUR if has_shown_talk(before, asked.asked_at, evidence) else MINUTE - timedelta(seconds=1)
    )
    if asked.asked_at - before.ends + ahead < within:
        return False
    if asked.asked_at > _latest(_next_due(before.ends, _zone(evidence)), evidence) - ahead:
        return True
    others = (use for use in evidence.uses if use is not asked and before.account in use.accounts)
    return any(_may_have_told(use, before, asked) for use in others)


def _may_have_told(use: Use, before: PhoneCall, asked: Use) -> bool:
    """Whether the answer to `use` was the end of a request, or was lost on its way, before the
    agent asked.
    """
    if use.answered_at is None:
        return use.asked < asked.asked
    if use.status == "canceled" and before.ends <= use.answered_at:
        # It may have been done before.
        return asked.answered_at is None or use.asked_at <= asked.answered_at
    crossed = use.answered_at == asked.asked_at  # the answer had left before the request arrived
    return (
        before.ends <= use.answered_at and (use.answered < asked.asked or crossed) and _is_end(use)
    )


def _is_end(use: Use) -> bool:
    """Whether an answer tells the end of a request. One without a ledger tells nothing of it."""
    if "what was placed before is not known" in use.text:
        return False
    return use.text.startswith("Not called") or (use.is_outcome and use.status != "scheduled")


def _ended_by_the_clock(evidence: Evidence) -> Iterator[Violation]:
    """A clock that is wrong for a short time, before a call is due, ends no call."""
    events = evidence.plan.events
    is_right_again = sum(event.seconds for event in events) == 0
    if (
        not events
        or not is_right_again
        or {event.what for event in events} != {"has its clock set"}
    ):
        return
    for row in evidence.rows:
        if row["state"] == "expired":
            yield Violation(Rule.STUCK, f"{row['tracking_id']} has expired")


def _many_due(evidence: Evidence) -> Iterator[Violation]:
    """Each of the calls is placed once, or all are too late, where nothing runs."""
    [due] = evidence.times_of("many calls are due")
    for number, count in Counter(
        call.submission["respondent_phone"] for call in evidence.placed
    ).items():
        if count > 1:
            yield Violation(Rule.TWICE, f"{number} was called {count} times")
    for call in evidence.placed:
        if call.started > due + WINDOW + _REQUEST:
            yield Violation(Rule.LATE, f"{call.call_id} was placed at {call.started}, due at {due}")
    for row in evidence.rows:
        if len(evidence.plan.events) == 1 and row["state"] != "ended":
            yield Violation(Rule.STUCK, f"{row['tracking_id']} is {row['state']}")


def _held_up(evidence: Evidence) -> Iterator[Violation]:
    """Look-ups that hang hold up the next calls to their own numbers, until they answer, and
    nothing else.
    """
    plan = evidence.plan
    plain, dying = (task.arguments["respondent_phone"] for task in plan.tasks[-2:])
    due, answers = _due(plan.tasks[-2].arguments), plan.begins + timedelta(seconds=plan.asks[-1].at)
    [killed] = evidence.times_of("is killed")
    assert due is not None
    for number in (plain, dying, *plan.quirks.hangs_for):
        calls = [call for call in evidence.placed if call.submission["respondent_phone"] == number]
        wanted = 2 if number in plan.quirks.hangs_for else 1
        if len(calls) != wanted:
            yield Violation(
                Rule.TWICE, f"{number} was called {len(calls)} times; {wanted} would be right"
            )
        if len(calls) > 1 and calls[1].started < answers:
            yield Violation(
                Rule.TWICE,
                f"{number} was called again at {calls[1].started}, before KallyAI answered",
            )
        for call in calls:
            if number == plain and call.started > due + _LOOKED:
                yield Violation(
                    Rule.LATE, f"{call.call_id} was placed at {call.started}, due at {due}"
                )
            row, known = ended_row(call, evidence), max(killed, call.ends) + 2 * _LOOKED
            if number == dying and row is not None and row["ended_at"] > known.timestamp():
                yield Violation(
                    Rule.LATE, f"the outcome of {call.call_id} was known only at {row['ended_at']}"
                )


def _times(evidence: Evidence) -> Iterator[Violation]:
    """No attempt before its time, none after its window, and every retry in the callee's day."""
    behind, ahead = evidence.clock_set
    due, zone = _due(evidence.plan.tasks[0].arguments), _zone(evidence)
    for calls in _requests(evidence):
        first = calls[0]
        if due is not None and first.started < due - ahead:
            yield Violation(
                Rule.LATE, f"{first.call_id} was placed at {first.started}, before {due}"
            )
        if due is not None and first.started > _latest(due, evidence) + behind + _REQUEST:
            yield Violation(
                Rule.LATE, f"{first.call_id} was placed at {first.started}, long after {due}"
            )
        for before, call in pairwise(calls):
            earliest = (
                before.ends + PAUSE - ahead if ahead or behind else _next_due(before.ends, zone)
            )
            if call.started < earliest - timedelta(seconds=1):
                yield Violation(
                    Rule.LATE,
                    f"{call.call_id} came {call.started - before.ends} after the one before it",
                )
            there = call.started.astimezone(zone)
            appointment = _appointment(evidence)
            if appointment is not None and there > appointment + behind + _REQUEST:
                yield Violation(
                    Rule.LATE, f"{call.call_id} was placed at {there}, after the appointment"
                )
            is_day = _is_day(there) or _is_day(there - _REQUEST)
            if not is_day and not (ahead or behind):
                yield Violation(Rule.LATE, f"{call.call_id} was placed at {there} there")


def _waited(evidence: Evidence) -> Iterator[Violation]:
    """A call is placed if nothing failed but what it waits for, and that ended in time."""
    plan, due = evidence.plan, _due(evidence.plan.tasks[0].arguments)
    if due is None or not _only_lets_wait(plan):
        return
    back = [at for at in evidence.times_of("the user signs in again") if at > due]
    pauses = sum(_TRIED_AGAIN + (trouble.retry_after or 0) for trouble in plan.troubles)
    until = max([due, *back]) + timedelta(seconds=_TRIED_AGAIN + pauses)
    if not evidence.placed and until < _latest(due, evidence):
        yield Violation(Rule.STUCK, f"the call that was due at {due} was not placed")


def _only_lets_wait(plan: Plan) -> bool:
    """Whether nothing happens in a plan but what a due call waits for."""
    events = {event.what for event in plan.events} - {
        "the user signs out",
        "the user signs in again",
    }
    refusals = all(one.answer in (401, 429) and not one.placed for one in plan.troubles)
    is_stopped = any(start.at_step or start.at or start.ahead for start in plan.starts)
    is_canceled = any(ask.cancels_at is not None for ask in plan.asks)
    disturbed = bool(events or plan.look_troubles or is_stopped or is_canceled)
    return refusals and not disturbed


def _attempts(evidence: Evidence) -> Iterator[Violation]:
    """As many calls as the consent covers, and one more only after nobody was reached."""
    retries = int(evidence.plan.tasks[0].arguments.get("retries", 0))
    for calls in _requests(evidence):
        if len(calls) > 1 + retries:
            yield Violation(
                Rule.TWICE, f"{len(calls)} calls were placed; {1 + retries} attempts were allowed"
            )
        for before, call in pairwise(calls):
            if before.status not in ("busy", "no_answer"):
                text = (
                    f"{call.call_id} was placed after {before.call_id} had ended: {before.status}"
                )
                yield Violation(Rule.TWICE, text)
        for before, call in combinations(calls, 2):
            known = before.ends + timedelta(seconds=evidence.plan.quirks.words_late)
            if before.callee_spoke and call.started > known + _asleep(evidence):
                yield Violation(
                    Rule.TWICE,
                    f"{call.call_id} was placed although the callee talked in {before.call_id}",
                )


def _asleep(evidence: Evidence) -> timedelta:
    """The longest time from the look at an earlier attempt to the next one."""
    pauses = [event.seconds for event in evidence.plan.events if event.what in _PAUSES]
    pauses += [
        step
        for start in evidence.plan.starts
        for step in start.at_step.values()
        if isinstance(step, float)
    ]
    return _REQUEST + timedelta(seconds=sum(pauses))


def _untrue(evidence: Evidence) -> Iterator[Violation]:
    """The agent is not told that a call is scheduled when it is too late to place it."""
    for use in evidence.uses:
        data = use.answer.data if use.answer is not None else {}
        if use.status != "scheduled" or not data.get("scheduled_for"):
            continue
        behind, _ = evidence.clock_set
        late = _latest(datetime.fromisoformat(data["scheduled_for"]), evidence) + behind
        if use.asked_at > late:
            yield Violation(Rule.UNTRUE, f"at {use.asked_at} the agent was told: {use.text}")
