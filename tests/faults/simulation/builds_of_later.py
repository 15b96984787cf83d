"""The broken builds for calls that are due later or placed again, and for lists of candidates."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.faults.simulation.broken import Broken, Patch
from tests.faults.simulation.plan import NUMBER, Ask, Event, Plan, Start, Task
from tests.faults.simulation.service import BOOKED, DROPPED, TALKED, Quirks, Trouble
from tests.faults.simulation.world import NOON

_IN_LONDON = "+442079460123"

_SENT_AT_ANY_TIME = (
    Patch("calls.ledger.progress", "AND COALESCE(not_before, :now) <= :now AND COALESCE(place_by, :now) >= :now ", ""),
    Patch("calls.run", "within = min(within, (place_by - self.record.placed_at).total_seconds())", "pass"),
)
_ACCOUNT_IS_NOT_LOOKED_AT = Patch("calls.run", "        await self._service.check_account(self.record.account)\n", "")
_NOBODY_RUNS = (Event(100, "is killed"), Event(100, "is killed", process=1))


def _later(ending: str = "success", number: str = NUMBER, **more: object) -> Task:
    arguments = {"task_category": "general", "task_description": "Ask for the hours", "respondent_phone": number}
    return Task(arguments | more, ending)


def broken(
    name: str, what: str, *patches: Patch, asks: tuple[Ask, ...] = (Ask(0, waits=False),), **plan: Any
) -> Broken:
    """A broken build, and the plan of the run that shows it; `what` says what happens in that."""
    return Broken(name, Plan(what, asks=asks, **plan), patches)


def _due(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


def _due_at_once(number: int) -> dict[str, Any]:
    """The plan of a run in which so many calls are due at one moment, and an ordinary one is asked for."""
    return {
        "tasks": (_later(),),
        "asks": (Ask(90),),
        "events": (Event(1, "many calls are due", number=number, seconds=59),),
    }


LATER = tuple(
    replace(build, kind="later")
    for build in (
        broken(
            "a call is placed before it is due",
            "a call is due in an hour",
            Patch("calls.ledger.follow_up", "AND not_before <= :now", "AND not_before <= :now + 900"),
            Patch("calls.ledger.follow_up", "AND not_before <= :there ", ""),
            *_SENT_AT_ANY_TIME,
            tasks=(_later(not_before=_due(3600)),),
        ),
        broken(
            "a call does not expire",
            "nothing runs until long after a call was due",
            Patch("calls.ledger.rows", "AND place_by < :now", "AND place_by < :now - 86400"),
            *_SENT_AT_ANY_TIME,
            tasks=(_later(not_before=_due(600)),),
            events=_NOBODY_RUNS,
            starts=(Start(), Start(at=3600)),
        ),
        broken(
            "half an hour is by the callee's clock",
            "nothing runs until long after a call was due, and the callee's clock was set back",
            Patch(
                "calls.calls", "return Schedule(due, due + timedelta(", "return Schedule(due, not_before + timedelta("
            ),
            tasks=(_later(not_before="2026-11-01T01:45"),),
            events=_NOBODY_RUNS,
            starts=(Start(), Start(at=600 + 3600)),
            begins=datetime(2026, 11, 1, 8, 35, tzinfo=UTC),
        ),
        broken(
            "a canceled call is placed",
            "a call is canceled before it is due",
            Patch("calls.ledger.progress", '{"state": "canceled", "ended_at"', '{"ended_at"'),
            tasks=(_later(not_before=_due(600)),),
            asks=(Ask(0, waits=False, cancels_at=100),),
        ),
        broken(
            "a retry that was canceled is placed",
            "a call is canceled while it is in progress, and reaches nobody",
            Patch(
                "calls.ledger.progress",
                '{"attempts": record.schedule.attempt}',
                '{"attempts": record.schedule.attempts}',
            ),
            tasks=(_later("no_answer", retries=2),),
            asks=(Ask(0, waits=False, cancels_at=10),),
        ),
        broken(
            "a call that reached somebody is placed again",
            "the first attempt reaches somebody",
            Patch("calls.schedule", 'frozenset({"busy", "no_answer"})', 'frozenset({"busy", "success"})'),
            Patch("calls.ledger.follow_up", "not in TRIED_AGAIN or record.reached or", "not in TRIED_AGAIN or"),
            Patch(
                "calls.ledger.follow_up",
                "Attempt(record.placed_at, record.call.plain_status,",
                'Attempt(record.placed_at, "busy",',
            ),
            tasks=(_later(retries=2),),
        ),
        broken(
            "words that come late do not stop a retry",
            "the transcript of the first attempt has words of the callee after ten minutes",
            Patch("calls.ledger.progress", "elif changed and reached:", "elif False:"),
            tasks=(_later(TALKED, retries=1),),
            asks=(Ask(0, waits=False, looks_at=700),),
            quirks=Quirks(words_late=600),
        ),
        broken(
            "nobody looks for late words before a retry",
            "the transcript of the first attempt has words of the callee after a minute, and no client asks",
            Patch("calls.worker", "await look_again(record, self.service)", "pass"),
            tasks=(_later(TALKED, retries=1),),
            quirks=Quirks(words_late=60),
        ),
        broken(
            "there is one attempt too many",
            "no attempt reaches anybody",
            Patch(
                "calls.ledger.follow_up",
                "schedule.attempt >= schedule.attempts",
                "schedule.attempt > schedule.attempts",
            ),
            tasks=(_later("busy", retries=1),),
        ),
        broken(
            "a call is placed again at night",
            "a call reaches nobody in the evening",
            Patch("calls.schedule", "if EARLIEST <= there.time() < LATEST:", "if there:"),
            tasks=(_later("busy", _IN_LONDON, retries=1),),
            begins=datetime(2026, 1, 26, 20, 50, tzinfo=UTC),
        ),
        broken(
            "a call is placed again at once",
            "no attempt reaches anybody, by day",
            Patch("calls.schedule", "PAUSE = timedelta(minutes=15)", "PAUSE = timedelta(minutes=5)"),
            tasks=(_later("busy", retries=1),),
        ),
        broken(
            "a call is placed again after the appointment that it asks for",
            "the appointment is ten minutes after the first attempt",
            Patch(
                "calls.ledger.follow_up",
                "if is_past_appointment(record.submission, due, record.timezone):",
                "if False:",
            ),
            tasks=(_later("busy", retries=1, appointment_date="2026-01-26", appointment_time="10:10"),),
        ),
        broken(
            "a due call is placed by this machine's clock alone",
            "the machine's clock is an hour fast",
            Patch("calls.ledger.follow_up", "there = known.timestamp() if known is not None else now", "there = now"),
            *_SENT_AT_ANY_TIME,
            tasks=(_later(not_before=_due(7200)),),
            starts=(Start(ahead=3600),),
        ),
        broken(
            "a due call is placed on the account that is signed in",
            "someone else is signed in when a call is due",
            Patch(
                "calls.ledger.follow_up",
                "due = select(tx, account, in_time, now=now, there=there, most=most)",
                'due = readable(tx.rows(f"SELECT * FROM calls WHERE {in_time}", now=now, there=there, most=most))',
            ),
            _ACCOUNT_IS_NOT_LOOKED_AT,
            tasks=(_later(not_before=_due(600)),),
            events=(Event(300, "someone else signs in"), Event(1000, "someone else signs in")),
        ),
        broken(
            "a limit does not count the attempts of a call",
            "no attempt reaches anybody, and one call an hour is allowed",
            Patch("calls.ledger.follow_up", "if (refusal := check_policy(tx, record)) is not None:", "if False:"),
            tasks=(_later("busy", retries=1),),
            calls_per_hour=1,
        ),
        broken(
            "a scheduled call does not answer the same request",
            "the same call for later is asked for twice",
            Patch(
                "calls.ledger.reservation",
                "AND (state <> 'scheduled' OR place_by >= :now)\n    OR state = 'ended' AND (",
                "AND state <> 'scheduled'\n    OR state = 'ended' AND (",
            ),
            Patch(
                "calls.ledger.base",
                "in text.",
                'in text.replace("UNIQUE INDEX calls_one_open ", "INDEX calls_one_open ").',
            ),
            tasks=(_later(not_before=_due(600)),),
            asks=(Ask(0, waits=False), Ask(100, waits=False)),
        ),
        broken(
            "all due calls are taken and sent at once",
            "many calls are due at one moment",
            Patch("calls.worker", "return max(0, min(BATCH, ", "return max(10_000, min(BATCH, "),
            **_due_at_once(101),
        ),
        broken(
            "the same due calls are taken twice",
            "many calls are due at one moment",
            Patch(
                "calls.ledger.follow_up",
                "_DUE = \"state = 'scheduled' AND",
                "_DUE = \"state IN ('scheduled', 'sent') AND",
            ),
            Patch("calls.ledger.follow_up", "scheduled = \"state = 'scheduled'\"", 'scheduled = "TRUE"'),
            Patch(
                "calls.records", 'str(uuid.uuid5(uuid.NAMESPACE_OID, f"kallyai-mcp/call/{named}"))', "str(uuid.uuid4())"
            ),
            **_due_at_once(5),
        ),
        broken(
            "due calls that a batch leaves are not taken",
            "many calls are due at one moment",
            Patch("calls.worker", "or len(due) == BATCH", ""),
            **_due_at_once(101),
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
    replace(build, kind="lists")
    for build in (
        broken(
            "a booking does not stop a list",
            "two candidates would book",
            Patch("calls.call_lists", "return StopReason.BOOKED if", "return None if"),
            tasks=(_candidates(BOOKED, BOOKED),),
        ),
        broken(
            "a yes without a calendar event does not stop a list",
            "the first candidate may have agreed",
            Patch("calls.call_lists", "in wanted else StopReason.NEEDS_DECISION", "in wanted else None"),
            tasks=(_candidates("success", BOOKED),),
        ),
        broken(
            "a line that drops after a yes does not stop a list",
            "the line drops after a yes",
            Patch(
                "calls.call_lists",
                "in (Outcome.FAILED, Outcome.CANCELED):\n            return StopReason.NEEDS_DECISION",
                "in (Outcome.FAILED, Outcome.CANCELED):\n            return None",
            ),
            tasks=(_candidates(DROPPED, BOOKED),),
        ),
        broken(
            "an answer does not stop a list",
            "the first candidate answers",
            Patch("calls.call_lists", "            return StopReason.ANSWERED\n", "            return None\n"),
            tasks=(_candidates("success", "success", until="answered"),),
        ),
        broken(
            "an unknown outcome does not stop a list",
            "the response is lost, and nothing tells how the call ended",
            Patch("calls.call_lists", 'return None if self.until == "all" else StopReason.UNKNOWN', "return None"),
            tasks=(_candidates(BOOKED, BOOKED),),
            troubles=(Trouble("cut", placed=True),) * 12,
            quirks=Quirks(dates="missing", forgets_keys=True),
        ),
        broken(
            "a canceled list goes on",
            "a list is canceled during its first call",
            Patch("calls.ledger.lists", "WHERE tracking_id = :id) AND why IS NULL", "WHERE tracking_id = :id)"),
            tasks=(_candidates("no_answer", BOOKED),),
            asks=(Ask(0, waits=False, cancels_at=10),),
        ),
        broken(
            "a list goes on hours after it was asked for",
            "the machine is suspended for three hours during the first call of a list",
            Patch("calls.ledger.lists", "if now - found.asked_at > LONGEST:", "if False:"),
            Patch(
                "calls.ledger.lists",
                "schedule = Schedule(now, found.asked_at + LONGEST)",
                "schedule = Schedule(now, now + LONGEST)",
            ),
            tasks=(_candidates("no_answer", BOOKED),),
            events=(Event(10, "is suspended with its machine", seconds=10_800),),
        ),
        broken(
            "limits don't count in a list",
            "a list has more candidates than calls are allowed",
            Patch(
                "calls.ledger.lists",
                "if (refusal := check_policy(tx, record)) is not None:",
                "if (refusal := check_policy(tx, record)) is not None and not found.records:",
            ),
            Patch(
                "calls.ledger.follow_up",
                "if (refusal := check_policy(tx, record)) is not None:",
                "if (refusal := check_policy(tx, record)) is not None and False:",
            ),
            tasks=(_candidates("busy", "busy", BOOKED),),
            calls_per_hour=1,
        ),
        broken(
            "a list goes on when someone else has signed in",
            "someone else signs in during the first call of a list",
            Patch("calls.run", "        await self._service.check_account(self.record.account)\n", ""),
            tasks=(_candidates("no_answer", BOOKED),),
            events=(Event(20, "someone else signs in"), Event(300, "someone else signs in")),
        ),
    )
)
