"""The broken builds for calls that are due later or placed again, and for lists of candidates."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.faults.simulation.broken import Patch, broken
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


def _due(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


def _due_at_once(number: int) -> Plan:
    due = Event(1, "many calls are due", number=number, seconds=59)
    return Plan(f"{number} calls are due at one moment", (_later(),), (Ask(90),), (due,))


LATER = tuple(
    replace(build, kind="later")
    for build in (
        broken(
            "a call is placed before it is due",
            Plan("a call is due in an hour", (_later(not_before=_due(3600)),), (Ask(0, waits=False),)),
            Patch("calls.ledger.follow_up", "AND not_before <= :now", "AND not_before <= :now + 900"),
            Patch("calls.ledger.follow_up", "AND not_before <= :there ", ""),
            *_SENT_AT_ANY_TIME,
        ),
        broken(
            "a call does not expire",
            Plan(
                "nothing runs until long after a call was due",
                (_later(not_before=_due(600)),),
                (Ask(0, waits=False),),
                _NOBODY_RUNS,
                starts=(Start(), Start(at=3600)),
            ),
            Patch("calls.ledger.rows", "AND place_by < :now", "AND place_by < :now - 86400"),
            *_SENT_AT_ANY_TIME,
        ),
        broken(
            "half an hour is by the callee's clock",
            Plan(
                "nothing runs until long after a call was due, and the callee's clock was set back",
                (_later(not_before="2026-11-01T01:45"),),
                (Ask(0, waits=False),),
                _NOBODY_RUNS,
                starts=(Start(), Start(at=600 + 3600)),
                begins=datetime(2026, 11, 1, 8, 35, tzinfo=UTC),
            ),
            Patch(
                "calls.calls", "return Schedule(due, due + timedelta(", "return Schedule(due, not_before + timedelta("
            ),
        ),
        broken(
            "a canceled call is placed",
            Plan(
                "a call is canceled before it is due",
                (_later(not_before=_due(600)),),
                (Ask(0, waits=False, cancels_at=100),),
            ),
            Patch(
                "calls.ledger.progress",
                '{"state": "canceled", "ended_at"',
                '{"ended_at"',
            ),
        ),
        broken(
            "a retry that was canceled is placed",
            Plan(
                "a call is canceled while it is in progress, and reaches nobody",
                (_later("no_answer", retries=2),),
                (Ask(0, waits=False, cancels_at=10),),
            ),
            Patch(
                "calls.ledger.progress",
                '{"attempts": record.schedule.attempt}',
                '{"attempts": record.schedule.attempts}',
            ),
        ),
        broken(
            "a call that reached somebody is placed again",
            Plan("the first attempt reaches somebody", (_later(retries=2),), (Ask(0, waits=False),)),
            Patch("calls.schedule", 'frozenset({"busy", "no_answer"})', 'frozenset({"busy", "success"})'),
            Patch("calls.ledger.follow_up", "not in TRIED_AGAIN or record.reached or", "not in TRIED_AGAIN or"),
            Patch(
                "calls.ledger.follow_up",
                "Attempt(record.placed_at, record.call.plain_status,",
                'Attempt(record.placed_at, "busy",',
            ),
        ),
        broken(
            "words that come late do not stop a retry",
            Plan(
                "the transcript of the first attempt has words of the callee after ten minutes",
                (_later(TALKED, retries=1),),
                (Ask(0, waits=False, looks_at=700),),
                quirks=Quirks(words_late=600),
            ),
            Patch("calls.ledger.progress", "elif changed and reached:", "elif False:"),
        ),
        broken(
            "nobody looks for late words before a retry",
            Plan(
                "the transcript of the first attempt has words of the callee after a minute, and no client asks",
                (_later(TALKED, retries=1),),
                (Ask(0, waits=False),),
                quirks=Quirks(words_late=60),
            ),
            Patch("calls.worker", "await look_again(record, self.service)", "pass"),
        ),
        broken(
            "there is one attempt too many",
            Plan("no attempt reaches anybody", (_later("busy", retries=1),), (Ask(0, waits=False),)),
            Patch(
                "calls.ledger.follow_up",
                "schedule.attempt >= schedule.attempts",
                "schedule.attempt > schedule.attempts",
            ),
        ),
        broken(
            "a call is placed again at night",
            Plan(
                "a call reaches nobody in the evening",
                (_later("busy", _IN_LONDON, retries=1),),
                (Ask(0, waits=False),),
                begins=datetime(2026, 1, 26, 20, 50, tzinfo=UTC),
            ),
            Patch("calls.schedule", "if EARLIEST <= there.time() < LATEST:", "if there:"),
        ),
        broken(
            "a call is placed again at once",
            Plan("no attempt reaches anybody, by day", (_later("busy", retries=1),), (Ask(0, waits=False),)),
            Patch("calls.schedule", "PAUSE = timedelta(minutes=15)", "PAUSE = timedelta(minutes=5)"),
        ),
        broken(
            "a call is placed again after the appointment that it asks for",
            Plan(
                "the appointment is ten minutes after the first attempt",
                (_later("busy", retries=1, appointment_date="2026-01-26", appointment_time="10:10"),),
                (Ask(0, waits=False),),
            ),
            Patch(
                "calls.ledger.follow_up",
                "if is_past_appointment(record.submission, due, record.timezone):",
                "if False:",
            ),
        ),
        broken(
            "a due call is placed by this machine's clock alone",
            Plan(
                "the machine's clock is an hour fast",
                (_later(not_before=_due(7200)),),
                (Ask(0, waits=False),),
                starts=(Start(ahead=3600),),
            ),
            Patch("calls.ledger.follow_up", "there = known.timestamp() if known is not None else now", "there = now"),
            *_SENT_AT_ANY_TIME,
        ),
        broken(
            "a due call is placed on the account that is signed in",
            Plan(
                "someone else is signed in when a call is due",
                (_later(not_before=_due(600)),),
                (Ask(0, waits=False),),
                (Event(300, "someone else signs in"), Event(1000, "someone else signs in")),
            ),
            Patch(
                "calls.ledger.follow_up",
                "due = select(tx, account, in_time, now=now, there=there, most=most)",
                'due = readable(tx.rows(f"SELECT * FROM calls WHERE {in_time}", now=now, there=there, most=most))',
            ),
            _ACCOUNT_IS_NOT_LOOKED_AT,
        ),
        broken(
            "a limit does not count the attempts of a call",
            Plan(
                "no attempt reaches anybody, and one call an hour is allowed",
                (_later("busy", retries=1),),
                (Ask(0, waits=False),),
                calls_per_hour=1,
            ),
            Patch("calls.ledger.follow_up", "if (refusal := check_policy(tx, record)) is not None:", "if False:"),
        ),
        broken(
            "a scheduled call does not answer the same request",
            Plan(
                "the same call for later is asked for twice",
                (_later(not_before=_due(600)),),
                (Ask(0, waits=False), Ask(100, waits=False)),
            ),
            Patch(
                "calls.ledger.reservation",
                "AND (state <> 'scheduled' OR place_by >= :now)\n    OR state = 'ended' AND (",
                "AND state <> 'scheduled'\n    OR state = 'ended' AND (",
            ),
            Patch(
                "calls.ledger.schema",
                "in text.",
                'in text.replace("UNIQUE INDEX calls_one_open ", "INDEX calls_one_open ").',
            ),
        ),
        broken(
            "all due calls are taken and sent at once",
            _due_at_once(150),
            Patch("calls.worker", "return max(0, min(BATCH, ", "return max(10_000, min(BATCH, "),
        ),
        broken(
            "the same due calls are taken twice",
            _due_at_once(5),
            Patch(
                "calls.ledger.follow_up",
                "_DUE = \"state = 'scheduled' AND",
                "_DUE = \"state IN ('scheduled', 'sent') AND",
            ),
            Patch("calls.ledger.follow_up", "scheduled = \"state = 'scheduled'\"", 'scheduled = "TRUE"'),
            Patch(
                "calls.records", 'str(uuid.uuid5(uuid.NAMESPACE_OID, f"kallyai-mcp/call/{named}"))', "str(uuid.uuid4())"
            ),
        ),
        broken(
            "due calls that a batch leaves are not taken",
            _due_at_once(150),
            Patch(
                "calls.worker",
                "await self.clock.sleep(self.timing.watch)",
                "await self.clock.sleep(1800)",
            ),
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
            Plan("two candidates would book", (_candidates(BOOKED, BOOKED),), (Ask(0, waits=False),)),
            Patch("calls.call_lists", "return StopReason.BOOKED if", "return None if"),
        ),
        broken(
            "a yes without a calendar event does not stop a list",
            Plan("the first candidate may have agreed", (_candidates("success", BOOKED),), (Ask(0, waits=False),)),
            Patch("calls.call_lists", "in wanted else StopReason.NEEDS_DECISION", "in wanted else None"),
        ),
        broken(
            "a line that drops after a yes does not stop a list",
            Plan("the line drops after a yes", (_candidates(DROPPED, BOOKED),), (Ask(0, waits=False),)),
            Patch(
                "calls.call_lists",
                "in (Outcome.FAILED, Outcome.CANCELED):\n            return StopReason.NEEDS_DECISION",
                "in (Outcome.FAILED, Outcome.CANCELED):\n            return None",
            ),
        ),
        broken(
            "an answer does not stop a list",
            Plan(
                "the first candidate answers",
                (_candidates("success", "success", until="answered"),),
                (Ask(0, waits=False),),
            ),
            Patch("calls.call_lists", "            return StopReason.ANSWERED\n", "            return None\n"),
        ),
        broken(
            "an unknown outcome does not stop a list",
            Plan(
                "the response is lost, and nothing tells how the call ended",
                (_candidates(BOOKED, BOOKED),),
                (Ask(0, waits=False),),
                troubles=(Trouble("cut", placed=True),) * 12,
                quirks=Quirks(dates="missing", forgets_keys=True),
            ),
            Patch("calls.call_lists", 'return None if self.until == "all" else StopReason.UNKNOWN', "return None"),
        ),
        broken(
            "a canceled list goes on",
            Plan(
                "a list is canceled during its first call",
                (_candidates("no_answer", BOOKED),),
                (Ask(0, waits=False, cancels_at=10),),
            ),
            Patch("calls.ledger.lists", "WHERE tracking_id = :id) AND why IS NULL", "WHERE tracking_id = :id)"),
        ),
        broken(
            "a list goes on hours after it was asked for",
            Plan(
                "the machine is suspended for three hours during the first call of a list",
                (_candidates("no_answer", BOOKED),),
                (Ask(0, waits=False),),
                (Event(10, "is suspended with its machine", seconds=10_800),),
            ),
            Patch("calls.ledger.lists", "if now - found.asked_at > LONGEST:", "if False:"),
            Patch(
                "calls.ledger.lists",
                "schedule = Schedule(now, found.asked_at + LONGEST)",
                "schedule = Schedule(now, now + LONGEST)",
            ),
        ),
        broken(
            "limits don't count in a list",
            Plan(
                "a list has more candidates than calls are allowed",
                (_candidates("busy", "busy", BOOKED),),
                (Ask(0, waits=False),),
                calls_per_hour=1,
            ),
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
        ),
        broken(
            "a list goes on when someone else has signed in",
            Plan(
                "someone else signs in during the first call of a list",
                (_candidates("no_answer", BOOKED),),
                (Ask(0, waits=False),),
                (Event(20, "someone else signs in"), Event(300, "someone else signs in")),
            ),
            Patch("calls.run", "        await self._service.check_account(self.record.account)\n", ""),
        ),
    )
)
