"""The broken builds: each breaks one promise of docs/reliability.md."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.faults.simulation.broken import Broken, Patch
from tests.faults.simulation.plan import (
    NUMBER,
    Ask,
    Event,
    Foreign,
    Plan,
    Start,
    Task,
    candidates,
    question,
    table,
)
from tests.faults.simulation.seeds import hanging_plan
from tests.faults.simulation.service import (
    BOOKED,
    DROPPED,
    OPTED_OUT,
    TALKED,
    Quirks,
    Trouble,
)
from tests.faults.simulation.world import NOON


def broken(
    name: str,
    *patches: Patch,
    tasks: tuple[Task, ...] = (table(),),
    asks: tuple[Ask, ...] = (),
    shared_runs: int = 0,
    **plan: Any,
) -> Broken:
    """A broken build, and the plan of the run that shows it, or of so many runs with a shared
    database.
    """
    made = Plan(name, tasks, (), **plan)
    if shared_runs:
        made = replace(made, starts=(Start(), Start()), statement_seconds=0.3)
    return Broken(
        name,
        replace(made, asks=asks or (Ask(0, waits=made.kind == "calls"),)),
        patches,
        shared_runs,
    )


_LOST = tuple(Trouble("cut", placed=True) for _ in range(12))
_NOT_PLACED = tuple(Trouble("cut") for _ in range(9))

_NO_INDEX, _NO_CONFIRMATION_INDEX, _NO_CALL_ID_INDEX = (
    Patch(
        "calls.ledger.schema",
        "in text.",
        f'in text.replace("UNIQUE INDEX {index} ", "INDEX {index} ").',
    )
    for index in ("calls_one_open", "calls_one_per_confirmation", "calls_one_per_call_id")
)
_REDIAL_JOINS_NOTHING = Patch(
    "calls.duplicates",
    "if answers(record, asked, timing)]",
    "if not asked.redial and answers(record, asked, timing)]",
)
_CONSENT_IS_NOT_CHECKED = (
    Patch(
        "calls.requests",
        "    if consent.confirmation_id is not None and",
        "    return\n    if consent.confirmation_id is not None and",
    ),
    Patch("calls.ledger.apply", "    if before is not None:\n", "    if False:\n"),
)
_NOT_ASKED_ONCE_MORE = Patch(
    "calls.requests",
    "if earlier is not None and earlier.tracking_id != event.looked_at:",
    "if False:",
)
_RANDOM_KEY = Patch(
    "calls.requests",
    'str(uuid.uuid5(uuid.NAMESPACE_OID, f"kallyai-mcp/call/{named}"))',
    "str(uuid.uuid4())",
)

_IN_LONDON, _ALSO_IN_LONDON = "+442079460123", "+442079460124"

_SENT_AT_ANY_TIME = (
    Patch(
        "calls.decisions",
        "if not (_is_young(view, own) and is_due(own, view.now)):",
        "if not _is_young(view, own):",
    ),
    Patch(
        "calls.sending",
        "within = min(within, (place_by - record.asked_at).total_seconds())",
        "pass",
    ),
)
_THE_DAY_DOES_NOT_END = Patch(
    "calls.schedule",
    "place_by=min(schedule.place_by, latest)",
    "place_by=schedule.place_by",
)
_DUE_WITHOUT_OPT_OUTS = Patch(
    "calls.due_calls",
    "from kallyai_mcp.calls.requests import refusal_of,",
    "from kallyai_mcp.calls.requests import refusal_by_setting as refusal_of,",
)
_ACCOUNT_IS_NOT_LOOKED_AT = (
    # Before it connects.
    Patch("calls.run", "            await self._context.check_account(record.account)\n", ""),
    # And after that.
    Patch("calls.run", "        await self._context.check_account(self.record.account)\n", ""),
)
_EIGHT_HOURS = 8 * 3600.0
_WRONG_FOR_SECONDS = (
    Event(1800, "has its clock set", seconds=_EIGHT_HOURS),
    Event(1830, "has its clock set", seconds=-_EIGHT_HOURS),
)
_UNTIL_IT_EXPIRES = (Ask(0, waits=False, looks_at=2400),)
_NO_LOCK = (
    Patch(
        "calls.ledger.postgres",
        "connection.execute(_LOCK, _lock_of(account))",
        "pass",
    ),
    Patch("calls.ledger.postgres", '_check_lock(account, row["locks"])', "pass"),
)
_STOPPED_LIST_GOES_ON = Patch(
    "calls.due_calls", "if _has_stopped_without(view, record):", "if False:"
)
# A little before the end: it first looks for the call.
_CANCELED_BY_THE_OTHER = Ask(0, waits=False, cancels_at=-0.6, cancels_at_end_of=1, canceled_by=1)
_NOBODY_RUNS = (Event(100, "is killed"), Event(100, "is killed", process=1))


def _due(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


def _for_20_past_10(**more: Any) -> Task:
    """To ask for an appointment 20 minutes after the begin of the run, by the callee's clock."""
    at = {"appointment_date": "2026-01-26", "appointment_time": "10:20"}
    return question("success", **at, **more)


def _candidates(*endings: str, until: str = "booked", first: int = 1301) -> Task:
    return candidates(
        {f"+1415555{first + place}": ending for place, ending in enumerate(endings)}, until
    )


def _urgent(task: Task) -> Task:
    """A list about which the user is asked."""
    return replace(task, arguments={**task.arguments, "is_urgent": True})


_DECIDES_LATER = Ask(0, confirms=True, waits=False, goes_on="after a decision", decides_after=600.0)
_NEW_REASONS_ARE_COVERED = Patch(
    "calls.list_consent",
    "if not all(one.is_as_told(call_list.consent) for one in remaining):",
    "if False:",
)

_A_PLANNED_CALL_AND_ANOTHER = (question(not_before=_due(600)), question(number="+14155551399"))
_AFTER_THE_PLANNED_CALL = (
    Ask(0, waits=False),
    Ask(2000, task=1),
    Ask(2400, task=1, redial=True),
)
_THREE_TO_ASK = _candidates("success", "success", "success", until="all")
_THREE_OTHERS_TO_ASK = _candidates("success", "success", "success", until="all", first=1311)
_FIVE_TO_ASK = _candidates("busy", *["success"] * 4, until="all")
_DECIDED = "_decided(view, event)"

_READY = "        if ready:\n            await self._send_due(account, self.context.time, ready)\n"
_PLACE_AFTER = "partial(self._place_after, account, id_, due[id_])"


BROKEN: tuple[Broken, ...] = (
    # Calls that are placed at once
    broken(
        "a call to another number fits",
        Patch(
            "calls.call_search",
            "if number is not None and not self._is_number",
            "if False and not self._is_number",
        ),
        Patch(
            "calls.call_search", "in echo.items()", 'in echo.items() if name != "respondent_phone"'
        ),
        events=(Event(0.01, "other programs call", number=1),),
        troubles=_NOT_PLACED,
    ),
    broken(
        "a call of long before fits",
        Patch("calls.call_search", "self.earliest <= created_at", "created_at"),
        troubles=_NOT_PLACED,
        foreign=(Foreign(900),),
    ),
    broken(
        "of two calls that fit, one is taken",
        Patch("calls.call_search", "case [call] if not any(", "case [call, *_] if not any("),
        quirks=Quirks(order="oldest first"),
        troubles=_LOST,
        foreign=(Foreign(9),),
    ),
    broken(
        "the call of another record is taken",
        Patch("calls.call_search", " if one.call_id.casefold() not in others_ids]", "]"),
        Patch(
            "calls.decisions",
            "    if other is not None:\n        if not event.proven",
            "    if event.proven and other:\n        if not event.proven",
        ),
        _NO_CALL_ID_INDEX,
        tasks=(table("busy"),),
        asks=(Ask(0), Ask(8, redial=True)),
        troubles=(Trouble("cut", placed=True), *_NOT_PLACED),
    ),
    broken(
        "the same key is sent again long after the first request",
        Patch("calls.timing", "resend_within: float = 1.0", "resend_within: float = 1000"),
        Patch(
            "calls.run",
            "if is_late(self._watches.longest_since(Moment.LEFT), self._timing):",
            "if False:",
        ),
        quirks=Quirks(forgets_keys=True),
        troubles=(Trouble(502, placed=True, delay=96),),
        look_troubles=(Trouble(503),) * 8,
    ),
    broken(
        "a refusal of the second request is taken for a proof",
        Patch(
            "calls.sending",
            "        return _search(state, state.timing.search)\n    known =",
            "        return Refused(failed.error)\n    known =",
        ),
        asks=(Ask(0), Ask(200)),
        quirks=Quirks(lists_ended_only=True),
        troubles=(Trouble("cut", placed=True), Trouble(422)),
    ),
    broken(
        "a limit is not checked when a call is reserved",
        Patch(
            "calls.requests",
            "duplicate = _duplicate(view, requested, known, asked)",
            "duplicate = answer_among(view, known, asked)",
        ),
        tasks=tuple(table(task_description=f"Ask question {number}") for number in range(12)),
        asks=tuple(Ask(0, task=number) for number in range(12)),
        calls_per_hour=2,
    ),
    broken(
        "nobody takes over the calls of a process that died",
        Patch("calls.ledger.upkeep", "is_abandoned=bool(", "is_abandoned=False and bool("),
        events=(Event(5, "is killed"),),
        starts=(Start(), Start()),
    ),
    broken(
        "a request leaves before the service's time is known",
        Patch("calls.run", "await self._context.learn_time(record.account)", "pass"),
        events=(Event(1, "has its clock set", seconds=3600), Event(2, "is killed")),
        starts=(Start(), Start()),
    ),
    *(
        broken(
            f"{status} is taken for a refusal",
            Patch(
                "calls.outcome",
                "_PROOFS = frozenset({400,",
                f"_PROOFS = frozenset({{{status}, 400,",
            ),
            asks=(Ask(0), Ask(10)),
            troubles=(Trouble(status, placed=True),),
        )
        for status in (408, 409, 425, 499, 307)
    ),
    broken(
        "a refusal after the call is taken for a proof",
        Patch("calls.timing", "refuse_within: float = 45", "refuse_within: float = 450"),
        asks=(Ask(0), Ask(150)),
        troubles=(Trouble(402, placed=True, delay=100),),
    ),
    broken(
        "a refusal that names a call is taken for a proof",
        Patch("api.error_responses", "(is_elsewhere or names_call)", "is_elsewhere"),
        tasks=(table("failed"),),
        asks=(Ask(0), Ask(150)),
        troubles=(Trouble(422, placed=True, names_call=True),),
    ),
    broken(
        "429 is taken for a proof while the list can't be read",
        Patch(
            "calls.sending",
            "Phase.LIMITED_AT_LAST:\n            return _search_after_429(state)",
            "Phase.LIMITED_AT_LAST:\n            return Refused(state.error)",
        ),
        asks=(Ask(0), Ask(150)),
        troubles=(Trouble(429, placed=True, retry_after=60),),
        look_troubles=(Trouble(503),) * 12,
    ),
    broken(
        "a key is sent again after 429 without a look into the list",
        Patch(
            "calls.sending",
            "        case _:\n            return LookFirst(state)",
            "        case Phase.LIMITED:\n"
            "            return Send(replace(state, phase=Phase.UNLISTED))\n"
            "        case _:\n            return LookFirst(state)",
        ),
        tasks=(table("busy"),),
        quirks=Quirks(forgets_keys=True),
        troubles=(Trouble(429, placed=True, retry_after=6),),
    ),
    broken(
        "a key is sent again with the body of another setting",
        Patch("calls.requests", "            submission=last.submission,\n", ""),
        asks=(Ask(0), Ask(150, process=1)),
        starts=(Start(), Start(discloses=False)),
        troubles=(Trouble(429, retry_after=60),),
    ),
    broken(
        "another setting for what is said makes the same request a new call",
        Patch(
            "calls.fingerprint", "without_disclosure(submission.as_json())", "submission.as_json()"
        ),
        asks=(Ask(0), Ask(10, process=1)),
        starts=(Start(), Start(discloses=False)),
    ),
    broken(
        "a clock that is set makes the same request a new call",
        Patch(
            "calls.duplicates",
            "return min(asked.arrived, delivered",
            "return max(asked.arrived, delivered",
        ),
        asks=(Ask(0), Ask(400)),
        events=(Event(350, "has its clock set", seconds=7200),),
    ),
    broken(
        "an outcome in a pipe that nobody reads counts as told",
        Patch("calls.delivery", "if delivered and self.delivers_when_read:", "if False:"),
        asks=(Ask(0, reads=False), Ask(200, redial=True, process=1)),
        events=(Event(150, "is killed"),),
        starts=(Start(), Start()),
    ),
    broken(
        "a final full stop makes another call",
        Patch("calls.fingerprint", '.split()).rstrip(" .")', ".split())"),
        asks=(Ask(0, gives_up=20), Ask(30, retyped=True)),
    ),
    broken(
        "a listed call without details is left out",
        Patch(
            "calls.call_search",
            'raise UncertainError("A listed call has no details yet.") from None',
            "continue",
        ),
        quirks=Quirks(details_late=20),
        troubles=_LOST,
        foreign=(Foreign(9),),
    ),
    broken(
        "a ledger that fails ends the wait",
        Patch(
            "calls.calls",
            "with suppress(LedgerUnavailableError):  # it is read again later\n",
            "if True:\n",
        ),
        asks=(Ask(0, gives_up=5), Ask(10, process=1)),
        events=(Event(30, "its ledger fails", seconds=20),),
        starts=(Start(), Start()),
    ),
    broken(
        "the account is not looked at",
        *_ACCOUNT_IS_NOT_LOOKED_AT,
        events=(Event(0.05, "someone else signs in"),),
        troubles=_LOST,
    ),
    broken(
        "a redial joins no call",
        _REDIAL_JOINS_NOTHING,
        _NO_INDEX,
        asks=(Ask(0), Ask(400, redial=True, gives_up=5), Ask(410, redial=True, process=1)),
        starts=(Start(), Start()),
    ),
    broken(
        "a confirmation can be used again",
        _REDIAL_JOINS_NOTHING,
        _NO_INDEX,
        *_CONSENT_IS_NOT_CHECKED,
        _NO_CONFIRMATION_INDEX,
        asks=(Ask(0, confirms=True, redial=True, times=15),),
        confirm="always",
    ),
    broken(
        "consent and reservation are two steps",
        *_CONSENT_IS_NOT_CHECKED,
        tasks=tuple(table(task_description=f"Ask question {number}") for number in range(12)),
        asks=tuple(Ask(0, task=number) for number in range(12)),
        confirm="auto",
    ),
    broken(
        "a record that can't be read is an error",
        Patch(
            "calls.ledger.rows",
            "except (ValueError, KeyError, TypeError)",
            "except ZeroDivisionError",
        ),
        asks=(Ask(0), Ask(200, process=1)),
        events=(Event(100, "its ledger gets a newer record"),),
        starts=(Start(), Start(at=150)),
    ),
    broken(
        "no hash stays of a deleted user's calls",
        Patch(
            "calls.ledger.one_account",
            "if emptied.must_stay(row, tx.now)]",
            "if False]",
        ),
        asks=(Ask(0), Ask(600)),
        events=(Event(400, "its user is deleted"),),
        quirks=Quirks(forgets_keys=True),
    ),
    broken(
        "old records are deleted whatever their state",
        Patch(
            "calls.ledger.upkeep",
            "AND ({state_in(*OVER)} OR {IS_ACTIVE} AND worker IN ({dead}))",
            "",
        ),
        asks=(Ask(0, gives_up=30), Ask(50, process=1)),
        starts=(Start(), Start(at=1, ahead=2 * 86400)),
        quirks=Quirks(forgets_keys=True),
        keep_days=0,
    ),
    broken(
        "old records whose outcome nobody was told are kept",
        Patch(
            "calls.ledger.upkeep",
            "({state_in(*OVER)} OR",
            "({state_in(*OVER)} AND delivered_at IS NOT NULL OR",
        ),
        asks=(Ask(0, gives_up=30), Ask(600, process=1)),
        starts=(Start(), Start(at=500, ahead=2 * 86400)),
        keep_days=0,
    ),
    broken(
        "old records of unknown calls are kept",
        Patch(
            "calls.ledger.upkeep",
            "({state_in(*OVER)} OR",
            "({state_in(*OVER)} AND state <> 'unknown' OR",
        ),
        asks=(Ask(0, gives_up=30), Ask(600, process=1)),
        starts=(Start(), Start(at=500, ahead=2 * 86400)),
        troubles=_LOST,
        quirks=Quirks(echo="nothing"),
        keep_days=0,
    ),
    broken(
        "only `success` reached somebody",
        Patch(
            "calls.outcome",
            "if call.plain_status not in NOBODY_REACHED:\n",
            'if call.status != "success":\n        return False\n    if call.plain_status not in '
            "NOBODY_REACHED:\n",
        ),
        asks=(Ask(0), Ask(200)),
        quirks=Quirks(spellings={"success": "completed"}),
    ),
    broken(
        "words of the callee are not looked for where the status says that the call failed",
        Patch("calls.findings", "callee_spoke=_callee_spoke(said)", "callee_spoke=False"),
        tasks=(table(DROPPED),),
        asks=(Ask(0), Ask(200)),
    ),
    broken(
        "an outcome that nobody read counts as told",
        Patch(
            "calls.duplicates",
            "    if record.is_open or not was_delivered(record, asked):\n",
            "    if not record.is_open and not was_delivered(record, asked):\n"
            "        return bool(record.reached)\n    if record.is_open:\n",
        ),
        Patch(
            "calls.duplicates",
            "return not is_another_try(record, asked)",
            "return bool(record.reached)",
        ),
        tasks=(table("voicemail"),),
        asks=(Ask(0, gives_up=5, silently=True), Ask(60)),
    ),
    broken(
        "a call is taken that another record may have, whose time is not known",
        Patch("calls.call_search", "Wanted.of(other, None)", "Wanted.of(other, ahead)"),
        tasks=tuple(
            table(additional_instructions=[f"Ask for table {number}"]) for number in range(2)
        ),
        asks=(Ask(0), Ask(0, task=1, process=1)),
        starts=(Start(), Start()),
        events=(Event(1.1, "has its clock set", seconds=-300),),
        troubles=(Trouble("cut", placed=True, delay=96), *_NOT_PLACED),
        quirks=Quirks(echo="name and number"),
    ),
    broken(
        "the service's clock is not looked at",
        Patch("calls.call_search", "earliest = first + there - ", "earliest = first - "),
        Patch("calls.call_search", "first + ahead - DATED_EARLIER", "first - DATED_EARLIER"),
        starts=(Start(ahead=300),),
        troubles=_LOST,
    ),
    broken(
        "what a response tells of the service's clock is not written down",
        Patch("calls.decisions", "return known.timestamp() - now if", "return None if"),
        asks=(Ask(0, until_told=True),),
        events=(Event(5, "is killed"), Event(6, "has its clock set", seconds=-300)),
        starts=(Start(ahead=300), Start(ahead=300)),
        quirks=Quirks(lists_ended_only=True),
        troubles=tuple(Trouble(502, placed=True) for _ in range(12)),
    ),
    broken(
        "only the first page of the list is read",
        Patch("calls.call_search", "_MOST_PAGES = 50", "_MOST_PAGES = 1"),
        events=(Event(0.01, "other programs call", number=450),),
        quirks=Quirks(lists_ended_only=True),
        troubles=_LOST,
    ),
    broken(
        "instructions are not part of a call",
        Patch(
            "calls.fingerprint",
            "return hashlib",
            'fields.pop("additional_instructions", None)\n    return hashlib',
        ),
        tasks=(
            table(additional_instructions=["the terrace"]),
            table(additional_instructions=["inside"]),
        ),
        asks=(Ask(0), Ask(0, task=1)),
    ),
    broken(
        "a call without a date fits",
        Patch(
            "calls.call_search", "return created_at is not None and", "return created_at is None or"
        ),
        quirks=Quirks(has_dates=False, echo="name and number"),
        troubles=_NOT_PLACED,
        foreign=(Foreign(7200),),
    ),
    broken(
        "times are compared as texts",
        Patch(
            "calls.call_search",
            "time_of_day(str(value)) or normalized(str(value))",
            "normalized(str(value))",
        ),
        asks=(Ask(0, until_told=True),),
        events=(Event(10, "is killed"),),
        starts=(Start(), Start()),
        quirks=Quirks(with_seconds=True),
    ),
    broken(
        "a call in progress is known to its file alone, and its key is random",
        Patch("calls.worker", "if run.record.account == new.account and", "if False and"),
        _RANDOM_KEY,
        asks=(Ask(0, gives_up=20), Ask(30), Ask(31)),
        events=(Event(10, "its ledger is deleted"),),
    ),
    broken(
        "keys are random",
        _RANDOM_KEY,
        asks=(Ask(0), Ask(5, process=1)),
        starts=(Start(), Start(home=1)),
    ),
    broken(
        "a request leaves at any age",
        Patch(
            "calls.sending",
            "if ages.asked > within:",
            "if False:",
        ),
        Patch(
            "calls.decisions",
            "if not (_is_young(view, own) and is_due(own, view.now)):",
            "if not is_due(own, view.now):",
        ),
        starts=(Start(at_step={4: 1000.0}),),
    ),
    broken(
        "KallyAI is not asked once more before a client's request places the call again",
        _NOT_ASKED_ONCE_MORE,
        tasks=(table(TALKED),),
        asks=(Ask(0), Ask(100)),
        quirks=Quirks(words_late=40),
    ),
    broken(
        "a call is placed again although KallyAI does not say how the one before ended",
        Patch("calls.earlier_call", "if not seen.is_all:", "if False:"),
        tasks=(table(TALKED),),
        asks=(Ask(0), Ask(100)),
        quirks=Quirks(words_late=40),
        # First: time, calendar file, transcript.
        look_troubles=(*(Trouble(404),) * 3, *(Trouble(503),) * 20),
    ),
    broken(
        "an empty answer about the call before counts as all that KallyAI says",
        Patch(
            "calls.findings",
            "return isinstance(error, NotSignedInError)",
            "return isinstance(error, UnreadableResponseError | NotSignedInError)",
        ),
        tasks=(table(TALKED),),
        asks=(Ask(0), Ask(100, redial=True)),
        quirks=Quirks(words_late=40),
        # First: time, calendar file, transcript.
        look_troubles=(*(Trouble(404),) * 3, Trouble("empty")),
    ),
    broken(
        "a redial is placed although nobody was told that the call before reached somebody",
        _NOT_ASKED_ONCE_MORE,
        tasks=(table(TALKED),),
        asks=(Ask(0), Ask(100, redial=True)),
        quirks=Quirks(words_late=40),
    ),
    broken(
        "after a call that reached nobody, the same request places another one at once",
        Patch(
            "calls.duplicates",
            "return not is_another_try(record, asked)",
            "return bool(record.reached)",
        ),
        tasks=(table("busy"),),
        asks=(Ask(0), Ask(40)),
    ),
    # Calls that are due later or placed again
    broken(
        "after a call that reached nobody, the same request with retries places another one at "
        "once",
        Patch(
            "calls.requests",
            "    not_before = event.requested.schedule.not_before\n",
            "    not_before = event.requested.schedule.not_before\n"
            "    if event.requested.schedule.attempts > 1:\n        not_before = now\n",
        ),
        tasks=(question("voicemail", retries=2),),
        asks=(Ask(0), Ask(40)),
    ),
    broken(
        "KallyAI is not asked once more before a request with retries places the call again",
        _NOT_ASKED_ONCE_MORE,
        Patch("calls.schedule", 'frozenset({"busy", "no_answer"})', 'frozenset({"busy"})'),
        tasks=(question(TALKED, retries=1),),
        asks=(Ask(0), Ask(100)),
        quirks=Quirks(words_late=40),
    ),
    broken(
        "a limit is counted without the account's lock",
        *_NO_LOCK,
        tasks=tuple(table(task_description=f"Ask question {number}") for number in range(4)),
        asks=tuple(Ask(0, task=number, process=number % 2) for number in range(4)),
        calls_per_hour=1,
        shared_runs=4,
    ),
    broken(
        "a call is canceled without the account's lock while its retry is planned",
        *_NO_LOCK,
        tasks=(question("busy", retries=2),),
        asks=(_CANCELED_BY_THE_OTHER,),
        shared_runs=12,
    ),
    broken(
        "a call is placed before it is due",
        Patch(
            "calls.ledger.upkeep",
            "not_before <= :now AND tracking_id",
            "not_before <= :now + 900 AND tracking_id",
        ),
        Patch(
            "calls.due_calls",
            "if is_due(one, view.now) and is_due(one, there)]",
            "if not one.schedule.is_over(view.now)]",
        ),
        Patch("calls.ledger.upkeep", "is_due=first <= tx.now", "is_due=first <= tx.now + 900"),
        Patch("calls.ledger.upkeep", "following - tx.now", "following - tx.now - 900"),
        *_SENT_AT_ANY_TIME,
        tasks=(question(not_before=_due(3600)),),
    ),
    broken(
        "a call does not expire",
        Patch(
            "calls.expiring",
            "if record is not None and is_late(record, view.expires_before):",
            "if False:",
        ),
        Patch("calls.ledger.expiry", 'AND {_IS_LATE}",', 'AND FALSE",'),
        *_SENT_AT_ANY_TIME,
        tasks=(question(not_before=_due(600)),),
        events=_NOBODY_RUNS,
        starts=(Start(), Start(at=3600)),
    ),
    broken(
        "half an hour is by the callee's clock",
        Patch("calls.calls", "Schedule(due, due + ", "Schedule(due, not_before + "),
        tasks=(question(not_before="2026-11-01T01:45"),),
        events=_NOBODY_RUNS,
        starts=(Start(), Start(at=600 + 3600)),
        begins=datetime(2026, 11, 1, 8, 35, tzinfo=UTC),
    ),
    broken(
        "a canceled call is placed",
        Patch(
            "calls.decisions",
            "return ended(view, lists.canceled(view, own)).answering(True)",
            "return Changes(True, save=(replace(own, ended_at=view.now),))",
        ),
        Patch(
            "tools.telling", "== CallState.CANCELED", "in (CallState.CANCELED, CallState.SCHEDULED)"
        ),
        tasks=(question(not_before=_due(600)),),
        asks=(Ask(0, waits=False, cancels_at=100),),
    ),
    broken(
        "a retry that was canceled is placed",
        Patch("calls.decisions", "attempts=own.schedule.attempt)", "attempts=3)"),
        tasks=(question("no_answer", retries=2),),
        asks=(Ask(0, waits=False, cancels_at=10),),
    ),
    broken(
        "a call that reached somebody is placed again",
        Patch(
            "calls.schedule", 'frozenset({"busy", "no_answer"})', 'frozenset({"busy", "success"})'
        ),
        Patch("calls.follow_up", "call is None or record.reached:", "call is None:"),
        Patch("calls.follow_up", "asked_at, record.call.plain_status,", 'asked_at, "busy",'),
        tasks=(question(retries=2),),
    ),
    broken(
        "words that come late do not stop a retry",
        Patch("calls.decisions", "    if not record.reached:\n", "    if True:\n"),
        tasks=(question(TALKED, retries=1),),
        asks=(Ask(0, waits=False, looks_at=700),),
        quirks=Quirks(words_late=600),
    ),
    broken(
        "nobody looks for late words before a retry",
        Patch("calls.worker", "await look_again(one, self.context)", "True"),
        tasks=(question(TALKED, retries=1),),
        quirks=Quirks(words_late=60),
    ),
    broken(
        "there is one attempt too many",
        Patch("calls.schedule", "schedule.attempt >=", "schedule.attempt >"),
        tasks=(question("busy", retries=1),),
    ),
    broken(
        "a call is placed again at night",
        Patch("calls.schedule", "if is_ordinary(there):", "if there:"),
        _THE_DAY_DOES_NOT_END,
        tasks=(question("busy", _IN_LONDON, retries=1),),
        begins=datetime(2026, 1, 26, 20, 50, tzinfo=UTC),
    ),
    broken(
        "a clock that is wrong for seconds ends a call",
        Patch("calls.context", "return min(now, known.timestamp())", "return now"),
        Patch("calls.context", "return _NEVER if was_set else now", "return now"),
        tasks=(question(not_before=_due(3600)),),
        asks=(Ask(0, waits=False, looks_at=4000),),
        events=_WRONG_FOR_SECONDS,
    ),
    broken(
        "a due call does not wait for its sign-in",
        Patch("calls.schedule", "    if needs_sign_in(error):\n", "    if False:\n"),
        tasks=(question(not_before=_due(600)),),
        asks=_UNTIL_IT_EXPIRES,
        troubles=(Trouble(401),),
    ),
    broken(
        "a due call does not wait after 429",
        Patch("calls.schedule", "if due <= schedule.place_by else None", "if False else None"),
        tasks=(question(not_before=_due(600)),),
        asks=_UNTIL_IT_EXPIRES,
        troubles=(Trouble(429, retry_after=120),),
    ),
    broken(
        "a call that waited after 429 gets a new key",
        Patch(
            "calls.due_calls",
            "    if record.response_lost_at is not None:\n",
            "    if False:\n",
        ),
        _RANDOM_KEY,
        tasks=(question(not_before=_due(600)),),
        asks=_UNTIL_IT_EXPIRES,
        troubles=(Trouble(429, placed=True, retry_after=45),),
        quirks=Quirks(lists_ended_only=True),
    ),
    broken(
        "a call that waited after 429 is sent again without a look into the list",
        Patch(
            "calls.sending",
            "Phase.UNSENT if record.response_lost_at is None else Phase.PUT_OFF",
            "Phase.UNSENT",
        ),
        tasks=(question(not_before=_due(600)),),
        asks=_UNTIL_IT_EXPIRES,
        troubles=(Trouble(429, placed=True, retry_after=200),),
        quirks=Quirks(lists_ended_only=True, forgets_keys=True),
    ),
    broken(
        "a call that was put off after it was canceled is placed",
        Patch("calls.decisions", "replace(last, place_by=view.now)", "replace(last, attempts=9)"),
        tasks=(question(not_before=_due(600)),),
        asks=(Ask(0, waits=False, cancels_at=610),),
        troubles=(Trouble(429, delay=20.0, retry_after=300),),
    ),
    broken(
        "a planned call is told with each result",
        Patch(
            "tools.telling",
            "        await app_context.calls.delivery.deliver(record)\n    line",
            "        pass\n    line",
        ),
        tasks=_A_PLANNED_CALL_AND_ANOTHER,
        asks=_AFTER_THE_PLANNED_CALL,
    ),
    broken(
        "a planned call is never told",
        Patch("calls.news", "is_planned and is_over", "is_over and False"),
        tasks=_A_PLANNED_CALL_AND_ANOTHER,
        asks=_AFTER_THE_PLANNED_CALL,
    ),
    broken(
        "a late call is placed at night",
        _THE_DAY_DOES_NOT_END,
        tasks=(question("success", _IN_LONDON, not_before="2026-01-26T20:55:00+00:00"),),
        events=_NOBODY_RUNS,
        starts=(Start(), Start(at=2400)),  # it is 21:10
        begins=datetime(2026, 1, 26, 20, 30, tzinfo=UTC),
    ),
    broken(
        "a late call is placed after its appointment",
        _THE_DAY_DOES_NOT_END,
        tasks=(_for_20_past_10(not_before=_due(600)),),
        events=_NOBODY_RUNS,
        starts=(Start(), Start(at=1500)),  # it is 10:25 for the callee
    ),
    broken(
        "a call is placed again at once",
        Patch(
            "calls.schedule",
            "RETRY_PAUSE = timedelta(minutes=15)",
            "RETRY_PAUSE = timedelta(minutes=5)",
        ),
        tasks=(question("busy", retries=1),),
    ),
    broken(
        "a call is placed again after the appointment that it asks for",
        Patch("calls.schedule", "if is_past_appointment(submission, due, timezone):", "if False:"),
        tasks=(
            question("busy", retries=1, appointment_date="2026-01-26", appointment_time="10:10"),
        ),
    ),
    broken(
        "a due call is placed by this machine's clock alone",
        Patch(
            "calls.due_calls",
            "if known is None or",
            "if True or",
        ),
        *_SENT_AT_ANY_TIME,
        tasks=(question(not_before=_due(7200)),),
        starts=(Start(ahead=3600),),
    ),
    broken(
        "a due call is placed on the account that is signed in",
        Patch(
            "calls.ledger.view",
            'self._select(f"tracking_id IN ({listed})", **names)',
            "self._select(\"FALSE OR state = 'scheduled'\")",
        ),
        Patch(
            "calls.ledger.rows",
            '    tx.require_lock(AccountKey(row["api"], row["account"]))\n',
            "",
        ),
        Patch("calls.ledger.apply", "    tx.require_lock(record.account)\n", ""),
        Patch("calls.worker", "        if ready:", "        if True:"),
        # Else the ledger refuses the change of another account's record.
        Patch("calls.ledger.base", "if self.locked != account:", "if False:"),
        *_ACCOUNT_IS_NOT_LOOKED_AT,
        tasks=(question(not_before=_due(600)),),
        events=(Event(300, "someone else signs in"), Event(1000, "someone else signs in")),
    ),
    broken(
        "a limit does not count the attempts of a call",
        Patch(
            "calls.due_calls",
            "    if refusal is not None:\n",
            "    if False:\n",
        ),
        tasks=(question("busy", retries=1),),
        calls_per_hour=1,
    ),
    broken(
        "opt-outs are not looked at when a call is due",
        _DUE_WITHOUT_OPT_OUTS,
        tasks=(
            question(OPTED_OUT, retries=1),
            question(task_description="Ask again", not_before=_due(600)),
        ),
        asks=(Ask(0), Ask(1, task=1, waits=False)),
    ),
    broken(
        "opt-outs are not looked at when a call is asked for",
        Patch("calls.requests", "    check_permission(opt_out, consent)\n", ""),
        tasks=(question(OPTED_OUT), question(task_description="Ask again")),
        asks=(Ask(0), Ask(600, task=1)),
    ),
    broken(
        "the end of a call is written without its opt-out",
        Patch("calls.decisions", "return Changes(None, opt_outs=(found,))", "return Changes(None)"),
        tasks=(question(OPTED_OUT), question(task_description="Ask again")),
        asks=(Ask(0), Ask(600, task=1)),
    ),
    broken(
        "a list calls a candidate who has opted out",
        Patch("calls.lists", "refusal = refusal_of(view, record)", "refusal = None"),
        _DUE_WITHOUT_OPT_OUTS,
        tasks=(candidates({NUMBER: OPTED_OUT, _ALSO_IN_LONDON: "busy"}, until="all"),),
        asks=(Ask(0, waits=False), Ask(7000, waits=False)),
    ),
    broken(
        "a scheduled call does not answer the same request",
        Patch(
            "calls.duplicates",
            "record.state in NEVER_PLACED",
            "record.state in (CallState.SCHEDULED, *NEVER_PLACED)",
        ),
        _NO_INDEX,
        tasks=(question(not_before=_due(600)),),
        asks=(Ask(0, waits=False), Ask(100, waits=False)),
    ),
    broken(
        "the same due call is taken twice",
        Patch(
            "calls.ledger.upkeep",
            "{IS_SCHEDULED} AND not_before <= :now",
            "state IN ('scheduled', 'sent') AND not_before <= :now",
        ),
        Patch(
            "calls.ledger.view",
            "if one.state is CallState.SCHEDULED",
            "if one.state in (CallState.SCHEDULED, CallState.SENT)",
        ),
        Patch(
            "calls.ledger.upkeep", "WHERE {IS_SCHEDULED}", "WHERE state IN ('scheduled', 'sent')"
        ),
        _RANDOM_KEY,
        tasks=(question(not_before=_due(600)),),
    ),
    broken(
        "of thousands of calls that are due, those that one transaction leaves are not placed",
        Patch("calls.ledger.upkeep", "is_due=first <=", "is_due=tx.now - 10 < first <="),
        Patch("calls.worker", "return len(due) == BATCH", "return False"),
        events=(Event(60, "many calls are due", number=2000),),
    ),
    Broken(
        "a call that is ready waits for look-ups that hang",
        hanging_plan(4),
        (
            Patch("calls.worker", _READY, ""),
            Patch(
                "calls.worker",
                f"            self._in_background({_PLACE_AFTER})\n",
                f"            await ({_PLACE_AFTER})()\n{_READY}",
            ),
        ),
    ),
    Broken(
        "a call that is found out to be ready waits for look-ups that hang",
        hanging_plan(14),
        (
            Patch(
                "calls.worker", f"self._in_background({_PLACE_AFTER})", f"await ({_PLACE_AFTER})()"
            ),
        ),
    ),
    Broken(
        "taking over waits until no call is due any more",
        hanging_plan(24),
        (
            Patch(
                "calls.worker",
                "        return await self._take_over(await",
                "        while (await self._find_work()).is_due:\n"
                "            await self.clock.sleep(1)\n"
                "        return await self._take_over(await",
            ),
        ),
    ),
    # Lists of candidates
    broken(
        "a booking does not stop a list",
        Patch("calls.call_lists", "    return StopReason.BOOKED\n", "    return None\n"),
        tasks=(_candidates(BOOKED, BOOKED),),
    ),
    broken(
        "a yes without a calendar event does not stop a list",
        Patch(
            "calls.call_lists",
            "return StopReason.BOOKED\n        return StopReason.NEEDS_DECISION",
            "return StopReason.BOOKED\n        return None",
        ),
        tasks=(_candidates("success", BOOKED),),
    ),
    broken(
        "a line that drops after a yes does not stop a list",
        Patch(
            "calls.call_lists",
            "CANCELED):\n            return StopReason.NEEDS_DECISION",
            "CANCELED):\n            return None",
        ),
        tasks=(_candidates(DROPPED, BOOKED),),
    ),
    broken(
        "a list goes on while KallyAI does not tell whether somebody talked",
        Patch("calls.worker", "        if unclear is None:\n", "        if True:\n"),
        tasks=(_candidates(DROPPED, BOOKED),),
        look_troubles=(Trouble(500),) * 8,
    ),
    broken(
        "an answer does not stop a list",
        Patch(
            "calls.call_lists",
            "            return StopReason.ANSWERED\n",
            "            return None\n",
        ),
        tasks=(_candidates("success", "success", until="answered"),),
    ),
    broken(
        "an unknown outcome does not stop a list",
        Patch(
            "calls.call_lists",
            "return None if self.asks_all else StopReason.UNKNOWN",
            "return None",
        ),
        tasks=(_candidates(BOOKED, BOOKED),),
        troubles=(Trouble("cut", placed=True),) * 12,
        quirks=Quirks(has_dates=False, forgets_keys=True),
    ),
    broken(
        "a canceled list goes on",
        Patch(
            "calls.lists",
            "return call_list if call_list.stop_reason is None else None",
            "return call_list",
        ),
        _STOPPED_LIST_GOES_ON,
        tasks=(_candidates("no_answer", BOOKED),),
        asks=(Ask(0, waits=False, cancels_at=10),),
    ),
    broken(
        "a list is canceled without the account's lock while its next call is planned",
        *_NO_LOCK,
        _STOPPED_LIST_GOES_ON,
        tasks=(_candidates("no_answer", BOOKED),),
        asks=(_CANCELED_BY_THE_OTHER,),
        shared_runs=12,
    ),
    broken(
        "a due call of a canceled list is placed",
        Patch(
            "calls.lists",
            "waiting = filter(_may_leave, in_ledger(view, call_list.waiting))",
            "waiting = ()",
        ),
        _STOPPED_LIST_GOES_ON,
        tasks=(_candidates("no_answer", BOOKED),),
        asks=(Ask(0, waits=False, cancels_at=40),),
        look_troubles=(Trouble(500),) * 8,
    ),
    broken(
        "cancel ends one of several calls that wait",
        Patch(
            "calls.lists",
            "filter(_may_leave, in_ledger(view, call_list.waiting))",
            "filter(_may_leave, in_ledger(view, call_list.waiting)[:1])",
        ),
        # The other process of the machine is stopped before it sends the three calls.
        starts=(Start(at_step={14: 60.0}), Start()),
        tasks=(_THREE_TO_ASK,),
        asks=(Ask(0, waits=False), Ask(5, process=1, waits=False, cancels_at=20)),
    ),
    broken(
        "calls of another list are not counted",
        Patch(
            "calls.lists",
            "[call_list, *(one for one in others if one.asks_all)]",
            "[call_list]",
        ),
        tasks=(_THREE_TO_ASK, _THREE_OTHERS_TO_ASK),
        asks=(Ask(0, waits=False), Ask(1, task=1, waits=False)),
    ),
    broken(
        "calls that are due are not counted",
        Patch("calls.call_lists", "if one.is_active or _is_due(one))", "if one.is_active)"),
        tasks=(_FIVE_TO_ASK,),
        asks=(Ask(0, waits=False),),
    ),
    broken(
        "calls are counted without the account's lock",
        *_NO_LOCK,
        tasks=(_THREE_TO_ASK, _THREE_OTHERS_TO_ASK),
        asks=(Ask(0, waits=False), Ask(0, task=1, process=1, waits=False)),
        shared_runs=8,
    ),
    broken(
        "a list that waits for room does not go on",
        Patch("calls.decisions", "lists.others_go_on(view, _decided(view, event))", _DECIDED),
        tasks=(_THREE_TO_ASK, _THREE_OTHERS_TO_ASK),
        asks=(Ask(0, waits=False), Ask(1, task=1, waits=False)),
    ),
    broken(
        "a list goes on hours after it was asked for",
        Patch("calls.lists", "call_list.asked_at + LONGEST", "view.now + LONGEST"),
        tasks=(_candidates("no_answer", BOOKED),),
        events=(Event(10, "is suspended with its machine", seconds=10_800),),
    ),
    broken(
        "a list calls a candidate whose night has begun",
        Patch("calls.call_lists", "return now > latest_moment(", "return now is latest_moment("),
        _THE_DAY_DOES_NOT_END,
        tasks=(candidates({_IN_LONDON: "no_answer", _ALSO_IN_LONDON: "no_answer"}),),
        asks=(Ask(0, waits=False),),
        troubles=(Trouble("cut", placed=True, delay=200.0),),  # found only when it is night
        begins=datetime(2026, 1, 26, 20, 58, tzinfo=UTC),
    ),
    broken(
        "limits don't count in a list",
        Patch("calls.lists", "refusal = refusal_of(view, record)", "refusal = None"),
        Patch(
            "calls.due_calls",
            "    if refusal is not None:\n",
            "    if False:\n",
        ),
        tasks=(_candidates("busy", "busy", BOOKED),),
        calls_per_hour=1,
    ),
    broken(
        "a list goes on without a question after a call to its next candidate",
        Patch(
            "calls.list_consent",
            "if any(one.was_called_since(",
            "if False and any(one.was_called_since(",
        ),
        _NEW_REASONS_ARE_COVERED,
        tasks=(_urgent(_candidates("success", BOOKED)), question(number="+14155551302")),
        asks=(_DECIDES_LATER, Ask(300, task=1)),
        confirm="auto",
    ),
    broken(
        "a list goes on at night without a question, although it was begun by day",
        _NEW_REASONS_ARE_COVERED,
        # Else the candidate is skipped.
        Patch("calls.list_requests", "event.usage), known.asked_at", "event.usage), view.now"),
        tasks=(_urgent(candidates({"+12025551302": "success", "+12025551304": BOOKED})),),
        asks=(_DECIDES_LATER,),
        begins=datetime(2026, 1, 27, 1, 57, tzinfo=UTC),  # 8:57 PM there
        confirm="auto",
    ),
    broken(
        "a list goes on when someone else has signed in",
        Patch("calls.worker", "        if unclear is None:\n", "        if True:\n"),
        *_ACCOUNT_IS_NOT_LOOKED_AT,
        tasks=(_candidates("no_answer", BOOKED),),
        events=(Event(20, "someone else signs in"), Event(300, "someone else signs in")),
    ),
)
"""At least one for each way in which calls were once placed twice, lost, or reported wrongly."""
