"""Simulated runs of lists of candidates that are called one after another, or several at a time,
with an oracle of their own.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, chain, pairwise, takewhile
from zoneinfo import ZoneInfo

from kallyai_mcp.calls.call_lists import LONGEST
from tests.faults.simulation.at_once import find_called_again, find_too_many
from tests.faults.simulation.judging import (
    HOUR,
    SEND_WITHIN,
    SHARED,
    Rule,
    Violation,
    calls_by_account,
)
from tests.faults.simulation.plan import Ask, GoesOn, Plan, candidates
from tests.faults.simulation.run import Evidence, Use
from tests.faults.simulation.seeds import disturbed_around, sometimes_canceled, with_opt_outs
from tests.faults.simulation.service import BOOKED, DROPPED, ENDINGS, STATUS_OF, PhoneCall
from tests.faults.simulation.world import NOON

_NUMBERS = ("+14155551301", "+12025551302", "+14155551303", "+12025551304", "+14155551305")

_ZONES = {
    "+1202": "America/New_York",
    "+1415": "America/Los_Angeles",
    "+4420": "Europe/London",
}
"""The zones of all numbers that are called, by how they begin."""

_EVENING = datetime(2026, 1, 27, 1, 57, tzinfo=UTC)
"""Three minutes before the night begins in New York."""

_REQUEST = timedelta(seconds=5)
"""How long a request takes at most from the check of its time until it reaches the service."""

_OTHER_NUMBERS = ("+14155551321", "+12025551322", "+14155551323", "+12025551324")
"""Those of a second list."""

Check = Callable[[Evidence], Iterator[Violation]]

_REACH_NOBODY = ("busy", "no_answer", "voicemail", "failed")
_ENDINGS = ("busy", "no_answer", "voicemail", "success", BOOKED, BOOKED, "failed", DROPPED)


def list_plan(seed: int, *, is_shared: bool = False) -> Plan:
    """The plan of a seed, always the same: one list of two to five candidates, and what happens
    between its calls.
    """
    rng = random.Random(f"lists {seed} {is_shared}")  # noqa: S311 - it has to be repeatable, not secret
    numbers = rng.sample(_NUMBERS, rng.randint(2, len(_NUMBERS)))
    endings = {number: rng.choice(_ENDINGS) for number in numbers}
    ends = list(accumulate(ENDINGS[STATUS_OF.get(ending, ending)] for ending in endings.values()))
    moments = [0.0, *ends]  # between two calls, if nothing fails
    choices: tuple[GoesOn, ...] = ("never", "after a decision", "after a decision", "always")
    goes_on = rng.choice(choices)
    first = Ask(0, waits=False, goes_on=goes_on)
    asks = [
        sometimes_canceled(
            rng, first, calls=_calls_that_others_follow(endings), is_shared=is_shared
        )
    ]
    asks += [  # the same again
        Ask(
            rng.choice((0.0, rng.uniform(0, 400), rng.uniform(0, 3000))),
            process=rng.randrange(2),
            waits=False,
            retyped=rng.random() < 0.3,
            goes_on=goes_on if rng.random() < 0.5 else "never",
        )
        for _ in range(rng.choice((0, 1, 1, 2)))
    ]
    until = ("booked", "booked", "answered", "all")[seed % 4]
    tasks = [candidates(endings, until)]
    if until == "all" and rng.random() < 0.6:  # two lists at a time
        others = rng.sample(_OTHER_NUMBERS, rng.randint(2, len(_OTHER_NUMBERS)))
        tasks.append(candidates({number: rng.choice(_ENDINGS) for number in others}, until))
        at = rng.choice((0.0, rng.uniform(0, 5), rng.uniform(0, 200)))
        asks.append(Ask(at, task=1, process=rng.randrange(2), waits=False, goes_on=goes_on))
    plan = Plan(
        "candidates one after another, or several at a time",
        tuple(tasks),
        (),
        seed=seed,
        calls_per_hour=rng.choice((None, None, None, 1, 2)),
        begins=rng.choice((NOON, NOON, _EVENING)),
    )
    plan = disturbed_around(rng, plan, moments, 10, is_shared=is_shared, back_after=500.0)
    decides_after = rng.choice((0.0, 0.0, 0.0, 5000.0, 40_000.0))
    asks = [replace(ask, decides_after=decides_after) for ask in asks]
    plan = replace(plan, asks=tuple(asks))
    if rng.random() < 0.25:
        plan = _with_a_yes(plan)
    return with_opt_outs(plan)


def _with_a_yes(plan: Plan) -> Plan:
    """The same with urgent calls, about which the user is asked before the first one."""
    tasks = [replace(one, arguments={**one.arguments, "is_urgent": True}) for one in plan.tasks]
    asks = [replace(one, confirms=True) for one in plan.asks]
    return replace(plan, tasks=tuple(tasks), asks=tuple(asks), confirm="auto")


def _calls_that_others_follow(endings: Mapping[str, str]) -> int:
    """How many calls, at least one, reach nobody before one does, so that a list goes on after
    each.
    """
    reach_nobody = list(takewhile(lambda ending: ending in _REACH_NOBODY, endings.values()))
    return max(1, len(reach_nobody))


def find_list_violations(evidence: Evidence) -> list[Violation]:
    """Every violation in the run."""
    checks = (*_checks_of(evidence.plan), _late, _at_night, _unasked, _untrue, *SHARED)
    return [violation for check in checks for violation in check(evidence)]


def _checks_of(plan: Plan) -> tuple[Check, ...]:
    """The checks of how many are called, and how often: one after another, or several."""
    if plan.tasks[0].arguments["until"] == "all":
        return (find_too_many, _called_again)
    return (_after_a_yes, _twice)


def _called_again(evidence: Evidence) -> Iterator[Violation]:
    """Each candidate is called once, unless the list was asked for again."""
    for before, call in find_called_again(evidence):
        is_new = _is_new_list(before, call, evidence) or _asked_long_after(before, call, evidence)
        if not is_new:
            yield Violation(Rule.TWICE, f"{call.call_id} is to the same number as {before.call_id}")


def _asks(evidence: Evidence, account: str) -> list[Use]:
    return [use for use in evidence.uses if use.tool == "call_around" and account in use.accounts]


def _asked_long_after(before: PhoneCall, call: PhoneCall, evidence: Evidence) -> bool:
    """Whether the agent asked for the list again when it counts as a new one: an hour after its
    end.
    """
    over = before.ends + HOUR - evidence.clock_set[1]
    return any(over <= use.asked_at <= call.started for use in _asks(evidence, call.account))


def _calls_of_lists(evidence: Evidence) -> Iterator[list[PhoneCall]]:
    """The calls of each account, without those that were asked for alone."""
    for calls in calls_by_account(evidence):
        yield [one for one in calls if not _is_alone(one, evidence)]


def _is_alone(call: PhoneCall, evidence: Evidence) -> bool:
    """Whether a call was asked for alone."""
    tasks = [one.arguments for one in evidence.plan.tasks if "candidates" not in one.arguments]
    return call.submission["task_description"] in [one["task_description"] for one in tasks]


def _after_a_yes(evidence: Evidence) -> Iterator[Violation]:
    """Nobody is called during another call, nor after somebody talked, unless the agent decided so.

    If KallyAI has a calendar event for the call, the decision counts only if the ledger did not
    know of the event.
    """
    until = evidence.plan.tasks[0].arguments["until"]
    for before, call in (pair for calls in _calls_of_lists(evidence) for pair in pairwise(calls)):
        if _asked_long_after(before, call, evidence):
            continue
        decisions = [use for use in _decisions(before, evidence) if use.asked_at <= call.started]
        if (
            call.started < before.ends
            and not decisions
            and not _may_be_unknown(before, until, evidence)
        ):
            yield Violation(Rule.TWICE, f"{call.call_id} was placed during {before.call_id}")
        if not before.reached_somebody or until == "all":
            continue
        if not decisions:
            yield Violation(
                Rule.TWICE, f"{call.call_id} was placed after {before.call_id}: {_end(before)}"
            )
        elif before.is_booked and until == "booked" and not _was_open(decisions[0], evidence):
            yield Violation(
                Rule.TWICE,
                f"{call.call_id} was placed after {before.call_id}, which was known as booked",
            )


def _end(call: PhoneCall) -> str:
    return BOOKED if call.is_booked else DROPPED if call.callee_spoke else call.status


def _decisions(before: PhoneCall, evidence: Evidence) -> Iterator[Use]:
    """The uses of the tool that let the list go on after a call."""
    rows = [
        row
        for row in evidence.rows
        if before.call_id == row["call_id"] or before.key == row["idempotency_key"]
    ]
    ids = {before.call_id, *(row["tracking_id"] for row in rows)}
    return (
        use for use in _asks(evidence, before.account) if use.arguments.get("continue_after") in ids
    )


def _was_open(decision: Use, evidence: Evidence) -> bool:
    """Whether the agent had been told, before it decided, that it is not known whether the call
    booked something.
    """
    return any(
        use.answered < decision.asked and use.status in ("needs_decision", "unknown")
        for use in evidence.uses
        if use.answer is not None and "calls" in use.answer.data
    )


def _may_be_unknown(before: PhoneCall, until: str, evidence: Evidence) -> bool:
    """Whether the next one was called because the outcome was unknown: only where all are asked."""
    return until == "all" and bool(evidence.plan.troubles) and before.reached_somebody


def _twice(evidence: Evidence) -> Iterator[Violation]:
    """The candidates are called in turn, each once, unless the list was canceled and asked for
    again.
    """
    numbers = [
        candidate["respondent_phone"]
        for candidate in evidence.plan.tasks[0].arguments["candidates"]
    ]
    for calls in _calls_of_lists(evidence):
        for position, call in enumerate(calls):
            place = numbers.index(call.submission["respondent_phone"])
            for before in calls[:position]:
                is_in_turn = numbers.index(before.submission["respondent_phone"]) < place
                is_allowed = (
                    is_in_turn
                    or _was_skipped(before, call)
                    or _is_new_list(before, call, evidence)
                    or _asked_long_after(before, call, evidence)
                )
                if not is_allowed:
                    yield Violation(
                        Rule.TWICE,
                        f"{call.call_id} came after {before.call_id}, which is later in turn",
                    )


def _is_new_list(before: PhoneCall, call: PhoneCall, evidence: Evidence) -> bool:
    cancels = [
        use for use in evidence.uses if use.tool == "cancel_call" and use.asked_at <= call.started
    ]
    asks = _asks(evidence, call.account)
    return not before.reached_somebody and any(
        c.asked < use.answered for c in cancels for use in asks
    )


def _late(evidence: Evidence) -> Iterator[Violation]:
    """No call is placed long after its list was asked for."""
    for call in evidence.placed:
        asked = [
            use.asked_at for use in _asks(evidence, call.account) if use.asked_at <= call.started
        ]
        if asked and call.started > max(asked) + LONGEST + SEND_WITHIN + evidence.clock_set[0]:
            yield Violation(
                Rule.LATE,
                f"{call.call_id} was placed at {call.started}, long after the list was asked for",
            )


def _was_skipped(before: PhoneCall, call: PhoneCall) -> bool:
    """Whether it was night for the callee of `call` when `before` was placed."""
    return _is_night(call, before.started)


def _is_night(call: PhoneCall, moment: datetime) -> bool:
    """Whether it is night then for the callee."""
    zone = ZoneInfo(_ZONES[call.submission["respondent_phone"][:5]])
    return not 8 <= moment.astimezone(zone).hour < 21


def _at_night(evidence: Evidence) -> Iterator[Violation]:
    """Nobody is called in a night that began after the list was asked for."""
    if any(evidence.clock_set):
        return
    for call in evidence.placed:
        asked = [
            use.asked_at for use in _asks(evidence, call.account) if use.asked_at <= call.started
        ]
        was_day = asked and not any(_is_night(call, moment) for moment in asked)
        # Else it may be the first call.
        is_late = was_day and call.started > max(asked) + SEND_WITHIN
        if is_late and _is_night(call, call.started - _REQUEST):
            yield Violation(
                Rule.LATE, f"{call.call_id} was placed at {call.started}, at night there"
            )


def _unasked(evidence: Evidence) -> Iterator[Violation]:
    """What the user was not told when they agreed to a list is asked about when it goes on: that a
    number was called since, and that it is night there.
    """
    if evidence.plan.confirm != "auto":
        return
    for call in chain.from_iterable(_calls_of_lists(evidence)):
        agreed = [
            use.asked_at
            for use in _asks(evidence, call.account)
            if "confirmation" in use.arguments and use.asked_at <= call.started
        ]
        if not agreed:
            continue
        if _was_called_since(max(agreed), call, evidence):
            text = f"{call.call_id} was placed, and its number was called since the user agreed"
            yield Violation(Rule.UNASKED, text)
        if _is_night(call, call.started - _REQUEST) and not _is_night(call, max(agreed)):
            text = f"{call.call_id} was placed at {call.started}, at night there"
            yield Violation(Rule.UNASKED, text)


def _was_called_since(agreed: datetime, call: PhoneCall, evidence: Evidence) -> bool:
    """Whether the number of a call was called after the user agreed, and less than an hour ago."""
    since = max(agreed, call.started - HOUR)
    return any(
        since < other.started < call.started
        and other.account == call.account
        and other.submission["respondent_phone"] == call.submission["respondent_phone"]
        for other in evidence.placed
    )


def _untrue(evidence: Evidence) -> Iterator[Violation]:
    """What the agent is told of a list is so."""
    for use in evidence.uses:
        if use.answer is None or "not_called" not in use.answer.data or use.answered_at is None:
            continue
        booked = [
            c
            for c in evidence.placed
            if c.is_booked and c.account in use.accounts and c.ends <= use.answered_at
        ]
        if use.status == "booked" and not booked:
            yield Violation(
                Rule.UNTRUE, f"the agent was told of a booking that there is not: {use.text}"
            )
        not_called = {one["respondent_phone"] for one in use.answer.data["not_called"]}
        for call in evidence.placed:
            was_called = call.account == use.account and call.started < use.asked_at
            if (
                was_called
                and call.submission["respondent_phone"] in not_called
                and not _is_alone(call, evidence)
                and not _is_of_new(use, call, evidence)
            ):
                yield Violation(
                    Rule.UNTRUE, f"{call.call_id} was placed, but the agent was told: {use.text}"
                )


def _is_of_new(use: Use, call: PhoneCall, evidence: Evidence) -> bool:
    """Whether the list may be a second one, which has not come to every candidate of the first
    yet.
    """
    is_long_ago = use.asked_at >= call.ends + HOUR - evidence.clock_set[1]
    return is_long_ago or any(
        other.tool == "cancel_call" and other.asked < use.answered for other in evidence.uses
    )
