"""The broken builds for calls that are due later or placed again, and for lists of candidates."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.faults.simulation.broken import Broken, Patch
from tests.faults.simulation.plan import NUMBER, Ask, Event, Plan, Start, Task
from tests.faults.simulation.service import BOOKED, DROPPED, TALKED, Quirks, Trouble
from tests.faults.simulation.world import NOON

_CALLS = "kallyai_mcp.calls"
_LEDGER = f"{_CALLS}.ledger"
_IN_LONDON = "+442079460123"

_SENT_AT_ANY_TIME = (
    Patch(f"{_LEDGER}.progress", "AND COALESCE(not_before, :now) <= :now AND COALESCE(place_by, :now) >= :now ", ""),
    Patch(f"{_CALLS}.run", "within = min(within, (place_by - self.record.placed_at).total_seconds())", "pass"),
)
_NOBODY_RUNS = (Event(100, "is killed"), Event(100, "is killed", process=1))


def _later(ending: str = "success", number: str = NUMBER, **more: object) -> Task:
    arguments = {"task_category": "general", "task_description": "Ask for the hours", "respondent_phone": number}
    return Task(arguments | more, ending)


def _due(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


LATER = tuple(
    replace(broken, kind="later")
    for broken in (
        Broken(
            "a call is placed before it is due",
            Plan("a call is due in an hour", (_later(not_before=_due(3600)),), (Ask(0, waits=False),)),
            (
                Patch(f"{_LEDGER}.scheduling", "AND not_before <= :now", "AND not_before <= :now + 900"),
                Patch(f"{_LEDGER}.scheduling", "AND not_before <= :there ", ""),
                *_SENT_AT_ANY_TIME,
            ),
        ),
        Broken(
            "a call does not expire",
            Plan(
                "nothing runs until long after a call was due",
                (_later(not_before=_due(600)),),
                (Ask(0, waits=False),),
                _NOBODY_RUNS,
                starts=(Start(), Start(at=3600)),
            ),
            (
                Patch(f"{_LEDGER}.maintenance", "AND place_by < :now", "AND place_by < :now - 86400"),
                *_SENT_AT_ANY_TIME,
            ),
        ),
        Broken(
            "half an hour is by the callee's clock",
            Plan(
                "nothing runs until long after a call was due, and the callee's clock was set back",
                (_later(not_before="2026-11-01T01:45"),),
                (Ask(0, waits=False),),
                _NOBODY_RUNS,
                starts=(Start(), Start(at=600 + 3600)),
                begins=datetime(2026, 11, 1, 8, 35, tzinfo=UTC),
            ),
            (
                Patch(
                    f"{_CALLS}.calls",
                    "return Schedule(due, due + timedelta(",
                    "return Schedule(due, not_before + timedelta(",
                ),
            ),
        ),
        Broken(
            "a canceled call is placed",
            Plan(
                "a call is canceled before it is due",
                (_later(not_before=_due(600)),),
                (Ask(0, waits=False, cancels_at=100),),
            ),
            (
                Patch(
                    f"{_LEDGER}.progress",
                    "UPDATE calls SET state = 'canceled', ended_at = :now, delivered_at = :now ",
                    "UPDATE calls SET ended_at = :now, delivered_at = :now ",
                ),
            ),
        ),
        Broken(
            "a retry that was canceled is placed",
            Plan(
                "a call is canceled while it is in progress, and reaches nobody",
                (_later("no_answer", retries=2),),
                (Ask(0, waits=False, cancels_at=10),),
            ),
            (
                Patch(
                    f"{_LEDGER}.progress",
                    "attempts = :attempt WHERE {mine}",
                    "attempts = attempts + 0 * :attempt WHERE {mine}",
                ),
            ),
        ),
        Broken(
            "a call that reached somebody is placed again",
            Plan("the first attempt reaches somebody", (_later(retries=2),), (Ask(0, waits=False),)),
            (
                Patch(f"{_CALLS}.schedule", 'frozenset({"busy", "no_answer"})', 'frozenset({"busy", "success"})'),
                Patch(f"{_LEDGER}.follow_up", "not in TRIED_AGAIN or record.reached or", "not in TRIED_AGAIN or"),
                Patch(
                    f"{_LEDGER}.follow_up",
                    "Attempt(record.placed_at, record.call.plain_status,",
                    'Attempt(record.placed_at, "busy",',
                ),
            ),
        ),
        Broken(
            "words that come late do not stop a retry",
            Plan(
                "the transcript of the first attempt has words of the callee after ten minutes",
                (_later(TALKED, retries=1),),
                (Ask(0, waits=False, looks_at=700),),
                quirks=Quirks(words_late=600),
            ),
            (Patch(f"{_LEDGER}.progress", "elif changed and end.reached:", "elif False:"),),
        ),
        Broken(
            "nobody looks for late words before a retry",
            Plan(
                "the transcript of the first attempt has words of the callee after a minute, and no client asks",
                (_later(TALKED, retries=1),),
                (Ask(0, waits=False),),
                quirks=Quirks(words_late=60),
            ),
            (Patch(f"{_CALLS}.worker", "looks.start_soon(look, record)", "pass"),),
        ),
        Broken(
            "there is one attempt too many",
            Plan("no attempt reaches anybody", (_later("busy", retries=1),), (Ask(0, waits=False),)),
            (
                Patch(
                    f"{_LEDGER}.follow_up",
                    "schedule.attempt >= schedule.attempts",
                    "schedule.attempt > schedule.attempts",
                ),
            ),
        ),
        Broken(
            "a call is placed again at night",
            Plan(
                "a call reaches nobody in the evening",
                (_later("busy", _IN_LONDON, retries=1),),
                (Ask(0, waits=False),),
                begins=datetime(2026, 1, 26, 20, 50, tzinfo=UTC),
            ),
            (Patch(f"{_CALLS}.schedule", "if EARLIEST <= there.time() < LATEST:", "if there:"),),
        ),
        Broken(
            "a call is placed again at once",
            Plan("no attempt reaches anybody, by day", (_later("busy", retries=1),), (Ask(0, waits=False),)),
            (Patch(f"{_CALLS}.schedule", "PAUSE = timedelta(minutes=15)", "PAUSE = timedelta(minutes=5)"),),
        ),
    )
)


def _candidates(*endings: str, until: str = "booked") -> Task:
    numbers = [f"+1415555{1301 + place}" for place in range(len(endings))]
    arguments = {
        "candidates": [{"respondent_phone": number} for number in numbers],
        "until": until,
        "task_category": "restaurant",
        "task_description": "Book a table",
    }
    return Task(arguments, endings=dict(zip(numbers, endings, strict=True)))


LISTS = tuple(
    replace(broken, kind="lists")
    for broken in (
        Broken(
            "a booking does not stop a list",
            Plan("two candidates would book", (_candidates(BOOKED, BOOKED),), (Ask(0, waits=False),)),
            (Patch(f"{_CALLS}.call_lists", "return StopReason.BOOKED if", "return None if"),),
        ),
        Broken(
            "a yes without a calendar event does not stop a list",
            Plan("the first candidate may have agreed", (_candidates("success", BOOKED),), (Ask(0, waits=False),)),
            (Patch(f"{_CALLS}.call_lists", "in wanted else StopReason.NEEDS_DECISION", "in wanted else None"),),
        ),
        Broken(
            "a line that drops after a yes does not stop a list",
            Plan("the line drops after a yes", (_candidates(DROPPED, BOOKED),), (Ask(0, waits=False),)),
            (
                Patch(
                    f"{_CALLS}.call_lists",
                    "in (Outcome.FAILED, Outcome.CANCELED):\n            return StopReason.NEEDS_DECISION",
                    "in (Outcome.FAILED, Outcome.CANCELED):\n            return None",
                ),
            ),
        ),
        Broken(
            "an answer does not stop a list",
            Plan(
                "the first candidate answers",
                (_candidates("success", "success", until="answered"),),
                (Ask(0, waits=False),),
            ),
            (Patch(f"{_CALLS}.call_lists", "            return StopReason.ANSWERED\n", "            return None\n"),),
        ),
        Broken(
            "an unknown outcome does not stop a list",
            Plan(
                "the response is lost, and nothing tells how the call ended",
                (_candidates(BOOKED, BOOKED),),
                (Ask(0, waits=False),),
                troubles=(Trouble("cut", placed=True),) * 12,
                quirks=Quirks(dates="missing", forgets_keys=True),
            ),
            (
                Patch(
                    f"{_CALLS}.call_lists", 'return None if self.until == "all" else StopReason.UNKNOWN', "return None"
                ),
            ),
        ),
        Broken(
            "a canceled list goes on",
            Plan(
                "a list is canceled during its first call",
                (_candidates("no_answer", BOOKED),),
                (Ask(0, waits=False, cancels_at=10),),
            ),
            (Patch(f"{_LEDGER}.follow_up", "call_list_calls.tracking_id = :id AND why IS NULL", "tracking_id = :id"),),
        ),
        Broken(
            "limits don't count in a list",
            Plan(
                "a list has more candidates than calls are allowed",
                (_candidates("busy", "busy", BOOKED),),
                (Ask(0, waits=False),),
                calls_per_hour=1,
            ),
            (
                Patch(
                    f"{_LEDGER}.follow_up",
                    "if (refusal := check_policy(tx, record, policy)) is not None:",
                    "if (refusal := check_policy(tx, record, policy)) is not None and not found.records:",
                ),
                Patch(
                    f"{_LEDGER}.scheduling",
                    "if (refusal := check_policy(tx, record, policy)) is not None:",
                    "if (refusal := check_policy(tx, record, policy)) is not None and False:",
                ),
            ),
        ),
        Broken(
            "a list goes on when someone else has signed in",
            Plan(
                "someone else signs in during the first call of a list",
                (_candidates("no_answer", BOOKED),),
                (Ask(0, waits=False),),
                (Event(20, "someone else signs in"), Event(300, "someone else signs in")),
            ),
            (Patch(f"{_CALLS}.run", "        await self._service.check_account(self.record.account)\n", ""),),
        ),
    )
)
