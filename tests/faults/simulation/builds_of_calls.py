"""The broken builds for calls that are placed at once: each breaks one of "The rules of placing a call"."""

from typing import Any

from tests.faults.simulation.broken import Broken, Patch
from tests.faults.simulation.plan import NUMBER, Ask, Event, Foreign, Plan, Start, Task
from tests.faults.simulation.service import DROPPED, Quirks, Trouble


def _task(ending: str = "success", **more: object) -> Task:
    arguments = {
        "task_category": "restaurant",
        "task_description": "Book a table",
        "respondent_phone": NUMBER,
        "business_name": "Italian Bistro",
        "appointment_date": "2026-01-30",
        "appointment_time": "19:00",
        "party_size": 4,
    }
    return Task(arguments | more, ending)


_TABLE = _task()


def broken(
    name: str,
    what: str,
    *patches: Patch,
    tasks: tuple[Task, ...] = (_TABLE,),
    asks: tuple[Ask, ...] = (Ask(0),),
    **plan: Any,
) -> Broken:
    """A broken build, and the plan of the run that shows it; `what` says what happens in that."""
    return Broken(name, Plan(what, tasks, asks, **plan), patches)


_LOST = tuple(Trouble("cut", placed=True) for _ in range(12))
_NOT_PLACED = tuple(Trouble("cut") for _ in range(9))

_NO_INDEX, _NO_CONFIRMATION_INDEX, _NO_CALL_ID_INDEX = (
    Patch("calls.ledger.base", "in text.", f'in text.replace("UNIQUE INDEX {index} ", "INDEX {index} ").')
    for index in ("calls_one_open", "calls_one_per_confirmation", "calls_one_per_call_id")
)
_REDIAL_JOINS_NOTHING = Patch("calls.ledger.reservation", "tx.rows(_JOINED_BY_REDIAL, **values)", "[]")
_CONSENT_IS_NOT_CHECKED = Patch(
    "calls.ledger.reservation",
    "    if consent.confirmation_id is not None and tx.rows(",
    "    return None\n    if consent.confirmation_id is not None and tx.rows(",
)
_NO_PROCESS_COUNTS_THE_TIME = Patch(
    "calls.ledger.reservation", 'if is_new or (is_recent and row["reached"])', "if False"
)
_RANDOM_KEY = Patch(
    "calls.records", 'str(uuid.uuid5(uuid.NAMESPACE_OID, f"kallyai-mcp/call/{named}"))', "str(uuid.uuid4())"
)

CALLS: tuple[Broken, ...] = (
    broken(
        "a call to another number fits",
        "no request arrives, and another program calls another number",
        Patch("calls.call_search", "return same_number and (", "return ("),
        Patch(
            "calls.call_search",
            "for name, value in echo.items()",
            'for name, value in echo.items() if name != "respondent_phone"',
        ),
        events=(Event(0.01, "other programs call", number=1),),
        troubles=_NOT_PLACED,
    ),
    broken(
        "a call of long before fits",
        "no request arrives, and another program placed the same call a quarter of an hour before",
        Patch("calls.call_search", "any(at - early <= created_at <= at + _LATE", "any(created_at <= at + _LATE"),
        troubles=_NOT_PLACED,
        foreign=(Foreign(900),),
    ),
    broken(
        "of two calls that fit, one is taken",
        "another program placed the same call nine seconds before",
        Patch("calls.call_search", "if len(fitting) != 1 or", "if"),
        quirks=Quirks(order="oldest first"),
        troubles=_LOST,
        foreign=(Foreign(9),),
    ),
    broken(
        "the call of another record is taken",
        "a call ends soon, and no request of its redial arrives",
        Patch("calls.call_search", "if listed.call_id.casefold() in others_ids or not", "if not"),
        Patch("calls.ledger.progress", "    if _is_others(tx, record, call.call_id):\n        return False\n", ""),
        _NO_CALL_ID_INDEX,
        tasks=(_task("busy"),),
        asks=(Ask(0), Ask(8, redial=True)),
        troubles=(Trouble("cut", placed=True), *_NOT_PLACED),
    ),
    broken(
        "the same key is sent again long after the first request",
        "the response is lost when the call has ended, and the list can't be read",
        Patch("calls.timing", "resend_within: float = 1.0", "resend_within: float = 1000"),
        quirks=Quirks(forgets_keys=True),
        troubles=(Trouble(502, placed=True, delay=96),),
        look_troubles=(Trouble(503),) * 6,
    ),
    broken(
        "a refusal of the second request is taken for a proof",
        "the first response is lost, and the second request is refused",
        Patch("calls.run", "if self._lost is not None or not proves_no_call(answer)", "if not proves_no_call(answer)"),
        asks=(Ask(0), Ask(200)),
        quirks=Quirks(lists_ended_only=True),
        troubles=(Trouble("cut", placed=True), Trouble(422)),
    ),
    broken(
        "a limit is not checked when a call is reserved",
        "twelve tasks at once, and two calls an hour are allowed",
        Patch(
            "calls.ledger.reservation",
            "    if (refusal := check_policy(tx, asked)) is not None:",
            "    if (refusal := check_policy(tx, asked)) is not None and False:",
        ),
        tasks=tuple(_task(task_description=f"Ask question {number}") for number in range(12)),
        asks=tuple(Ask(0, task=number) for number in range(12)),
        calls_per_hour=2,
    ),
    broken(
        "nobody takes over the calls of a process that died",
        "one of two processes is killed during a call",
        Patch("calls.worker", "if work.is_abandoned:\n", "if False:\n"),
        events=(Event(5, "is killed"),),
        starts=(Start(), Start()),
    ),
    broken(
        "an outcome is not written again into a new ledger",
        "the ledger is deleted during the call",
        Patch("calls.ledger.progress", "        _write_again(tx, ended)\n", "        pass\n"),
        asks=(Ask(0, waits=False),),
        events=(Event(20, "its ledger is deleted"),),
    ),
    *(
        broken(
            f"{status} is taken for a refusal",
            f"{status} after the call was placed",
            Patch("calls.outcome", "_PROOFS = frozenset({400,", f"_PROOFS = frozenset({{{status}, 400,"),
            asks=(Ask(0), Ask(10)),
            troubles=(Trouble(status, placed=True),),
        )
        for status in (408, 409, 425, 499, 307)
    ),
    broken(
        "a refusal after the call is taken for a proof",
        "402 when the call has ended, because the minutes ran out in it",
        Patch("calls.timing", "refuse_within: float = 45", "refuse_within: float = 450"),
        asks=(Ask(0), Ask(150)),
        troubles=(Trouble(402, placed=True, delay=100),),
    ),
    broken(
        "a refusal that names a call is taken for a proof",
        "422 with the id of the call, which was not allowed to go on",
        Patch("api.client", " or names_call(response))", ")"),
        tasks=(_task("failed"),),
        asks=(Ask(0), Ask(150)),
        troubles=(Trouble(422, placed=True, names_call=True),),
    ),
    broken(
        "429 is taken for a proof while the list can't be read",
        "429 after the call was placed, and then the list fails",
        Patch(
            "calls.run",
            "            await self._search(error, self._timing.search, refusal=error)\n            return True\n",
            "            return False\n",
        ),
        asks=(Ask(0), Ask(150)),
        troubles=(Trouble(429, placed=True, retry_after=60),),
        look_troubles=(Trouble(503),) * 12,
    ),
    broken(
        "a key is sent again after 429 without a look into the list",
        "429 after the call was placed, which ends soon",
        Patch("calls.run", "if self._is_limited and await self._settle_limited(answer):", "if False:"),
        tasks=(_task("busy"),),
        quirks=Quirks(forgets_keys=True),
        troubles=(Trouble(429, placed=True, retry_after=6),),
    ),
    broken(
        "a clock that is set makes the same request a new call",
        "the clock is set forward after the outcome was told",
        _NO_PROCESS_COUNTS_THE_TIME,
        asks=(Ask(0), Ask(400)),
        events=(Event(350, "has its clock set", seconds=7200),),
    ),
    broken(
        "a final full stop makes another call",
        "asks again with a full stop",
        Patch("calls.records", '.split()).rstrip(" .")', ".split())"),
        asks=(Ask(0, gives_up=20), Ask(30, retyped=True)),
    ),
    broken(
        "a listed call without details is left out",
        "another program placed the same call nine seconds before, and details come late",
        Patch(
            "calls.call_search",
            "        except NotFoundError:\n"
            '            raise UncertainError("A listed call has no details yet.") from None\n',
            "        except NotFoundError:\n            continue\n",
        ),
        quirks=Quirks(details_late=20),
        troubles=_LOST,
        foreign=(Foreign(9),),
    ),
    broken(
        "a ledger that fails ends the wait",
        "the ledger fails while the call is waited for",
        Patch(
            "calls.worker",
            "        with suppress(LedgerUnavailableError):\n            record = await self.ledger.find(",
            "        if True:\n            record = await self.ledger.find(",
        ),
        asks=(Ask(0, gives_up=5), Ask(10, process=1)),
        events=(Event(30, "its ledger fails", seconds=20),),
        starts=(Start(), Start()),
    ),
    broken(
        "the account is not looked at",
        "someone else signs in after the response was lost",
        Patch("calls.run", "        await self._service.check_account(self.record.account)\n", ""),
        events=(Event(0.05, "someone else signs in"),),
        troubles=_LOST,
    ),
    broken(
        "a redial joins no call",
        "redials, gives up, and redials",
        _REDIAL_JOINS_NOTHING,
        _NO_INDEX,
        asks=(Ask(0), Ask(400, redial=True, gives_up=5), Ask(410, redial=True, process=1)),
        starts=(Start(), Start()),
    ),
    broken(
        "a confirmation can be used again",
        "one confirmation for 15 requests at once",
        _REDIAL_JOINS_NOTHING,
        _NO_INDEX,
        _CONSENT_IS_NOT_CHECKED,
        _NO_CONFIRMATION_INDEX,
        asks=(Ask(0, confirms=True, redial=True, times=15),),
        confirm="always",
    ),
    broken(
        "consent and reservation are two steps",
        "twelve tasks for one number at once",
        _CONSENT_IS_NOT_CHECKED,
        tasks=tuple(_task(task_description=f"Ask question {number}") for number in range(12)),
        asks=tuple(Ask(0, task=number) for number in range(12)),
        confirm="auto",
    ),
    broken(
        "a record that can't be read is an error",
        "the ledger has a record of a newer version",
        Patch(
            "calls.ledger.rows",
            "except (ValueError, KeyError, TypeError) as error:",
            "except ZeroDivisionError as error:",
        ),
        asks=(Ask(0), Ask(200, process=1)),
        events=(Event(100, "its ledger gets a newer record"),),
        starts=(Start(), Start(at=150)),
    ),
    broken(
        "old records are deleted whatever their state",
        "another server's clock is days ahead",
        Patch(
            "calls.ledger.upkeep",
            " AND state IN ('ended', 'refused', 'canceled', 'expired') AND delivered_at IS NOT NULL",
            "",
        ),
        asks=(Ask(0, gives_up=30), Ask(50, process=1)),
        starts=(Start(), Start(at=1, ahead=2 * 86400)),
        quirks=Quirks(forgets_keys=True),
        keep_days=0,
    ),
    broken(
        "only `success` reached somebody",
        "a status with another spelling",
        Patch(
            "calls.outcome",
            "if call.plain_status not in NOBODY_REACHED or",
            'if call.status != "success":\n        return False\n    if',
        ),
        asks=(Ask(0), Ask(200)),
        quirks=Quirks(spellings={"success": "completed"}),
    ),
    broken(
        "words of the callee are not looked for where the status says that the call failed",
        "the line drops after a yes",
        Patch("calls.findings", "callee_spoke=await read(_has_words)", "callee_spoke=False"),
        tasks=(_task(DROPPED),),
        asks=(Ask(0), Ask(200)),
    ),
    broken(
        "an outcome that nobody read counts as told",
        "gives up silently before voicemail, and asks again",
        Patch(
            "calls.ledger.reservation",
            "delivered_at IS NULL OR delivered_at > :delivered_since OR placed_at > :delivered_since\n"
            "        OR reached",
            "reached",
        ),
        _NO_PROCESS_COUNTS_THE_TIME,
        tasks=(_task("voicemail"),),
        asks=(Ask(0, gives_up=5, silently=True), Ask(60)),
    ),
    broken(
        "the service's clock is not looked at",
        "our clock is five minutes fast",
        Patch("calls.call_search", "left + timedelta(seconds=record.clock_offset)", "left"),
        Patch("calls.call_search", "ahead = service_time - now", "ahead = timedelta(0)"),
        starts=(Start(ahead=300),),
        troubles=_LOST,
    ),
    broken(
        "what a response tells of the service's clock is not written down",
        "our clock is five minutes fast, and is set after the process ended that sent the request",
        Patch(
            "calls.ledger.progress",
            "return _ahead(service_time, record.sent_at.timestamp() + since_sent())",
            "return None",
        ),
        Patch("calls.ledger.progress", "offset=_ahead(service_time, now),", "offset=None,"),
        asks=(Ask(0, until_told=True),),
        events=(Event(5, "is killed"), Event(6, "has its clock set", seconds=-300)),
        starts=(Start(ahead=300), Start(ahead=300)),
        quirks=Quirks(lists_ended_only=True),
        troubles=tuple(Trouble(502, placed=True) for _ in range(12)),
    ),
    broken(
        "only the first page of the list is read",
        "200 newer calls of other programs, oldest first",
        Patch("calls.call_search", "_MOST_PAGES = 50", "_MOST_PAGES = 1"),
        events=(Event(0.01, "other programs call", number=450),),
        quirks=Quirks(lists_ended_only=True),
        troubles=_LOST,
    ),
    broken(
        "instructions are not part of a call",
        "two tasks differ in their instructions only",
        Patch(
            "calls.records",
            "return hashlib.sha256(json.dumps(fields, sort_keys=True)",
            'fields.pop("additional_instructions", None)\n    return hashlib.sha256(json.dumps(fields, sort_keys=True)',
        ),
        tasks=(_task(additional_instructions=["the terrace"]), _task(additional_instructions=["inside"])),
        asks=(Ask(0), Ask(0, task=1)),
    ),
    broken(
        "a call without a date fits",
        "an old call of another program without a date",
        Patch("calls.call_search", "return created_at is not None and", "return created_at is None or"),
        quirks=Quirks(dates="missing", echo="name and number"),
        troubles=_NOT_PLACED,
        foreign=(Foreign(7200),),
    ),
    broken(
        "times are compared as texts",
        "19:00 is repeated as 19:00:00 after a crash",
        Patch("calls.call_search", "time_of_day(str(value)) or normalized(str(value))", "normalized(str(value))"),
        asks=(Ask(0, until_told=True),),
        events=(Event(10, "is killed"),),
        starts=(Start(), Start()),
        quirks=Quirks(times="seconds"),
    ),
    broken(
        "a call in progress is known to its file alone, and its key is random",
        "the ledger is deleted while the call is in progress",
        Patch(
            "calls.calls",
            "def _same_running(self, asked: CallRecord) -> CallRecord | None:\n",
            "def _same_running(self, asked: CallRecord) -> CallRecord | None:\n        return None\n",
        ),
        _RANDOM_KEY,
        asks=(Ask(0, gives_up=20), Ask(30), Ask(31)),
        events=(Event(10, "its ledger is deleted"),),
    ),
    broken(
        "keys are random",
        "two homes of one account",
        _RANDOM_KEY,
        asks=(Ask(0), Ask(5, process=1)),
        starts=(Start(), Start(home=1)),
    ),
    broken(
        "a request leaves at any age",
        "the machine is suspended before the request leaves",
        Patch("calls.run", "if self._since_reserved is None or self._since_reserved.longest() > within:", "if False:"),
        Patch("calls.ledger.progress", "oldest=now - within,", "oldest=0,"),
        starts=(Start(at_step={6: 1000.0}),),
    ),
)
"""At least one for each way in which calls were once placed twice, lost, or reported wrongly."""
