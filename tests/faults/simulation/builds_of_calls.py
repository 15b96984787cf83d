"""The broken builds for calls that are placed at once: each breaks one of "The rules of placing a call"."""

from tests.faults.simulation.broken import Broken, Patch, broken
from tests.faults.simulation.plan import NUMBER, Ask, Event, Foreign, Plan, Start, Task
from tests.faults.simulation.service import DROPPED, Quirks, Trouble


def _task(ending: str = "success", **more: object) -> Task:
    arguments = {
        "task_category": "restaurant",
        "task_description": "Book a table",
        "respondent_phone": NUMBER,
        "business_name": "Italian Bistro",
        "appointment_time": "19:00",
    }
    return Task(arguments | more, ending)


_TABLE = _task()
_LOST = tuple(Trouble("cut", placed=True) for _ in range(12))
_NOT_PLACED = tuple(Trouble("cut") for _ in range(9))

_NO_INDEX, _NO_CONFIRMATION_INDEX, _NO_CALL_ID_INDEX = (
    Patch("calls.ledger.schema", "in text.", f'in text.replace("UNIQUE INDEX {index} ", "INDEX {index} ").')
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
        Plan(
            "no request arrives, and another program calls another number",
            (_TABLE,),
            (Ask(0),),
            (Event(0.01, "other programs call", number=1),),
            troubles=_NOT_PLACED,
        ),
        Patch("calls.call_search", "return same_number and (", "return ("),
        Patch(
            "calls.call_search",
            "for name, value in echo.items()",
            'for name, value in echo.items() if name != "respondent_phone"',
        ),
    ),
    broken(
        "a call of long before fits",
        Plan(
            "no request arrives, and another program placed the same call a quarter of an hour before",
            (_TABLE,),
            (Ask(0),),
            troubles=_NOT_PLACED,
            foreign=(Foreign(900),),
        ),
        Patch("calls.call_search", "any(at - early <= created_at <= at + _LATE", "any(created_at <= at + _LATE"),
    ),
    broken(
        "of two calls that fit, one is taken",
        Plan(
            "another program placed the same call nine seconds before",
            (_TABLE,),
            (Ask(0),),
            quirks=Quirks(order="oldest first"),
            troubles=_LOST,
            foreign=(Foreign(9),),
        ),
        Patch("calls.call_search", "if len(fitting) != 1 or", "if"),
    ),
    broken(
        "the call of another record is taken",
        Plan(
            "a call ends soon, and no request of its redial arrives",
            (_task("busy"),),
            (Ask(0), Ask(8, redial=True)),
            troubles=(Trouble("cut", placed=True), *_NOT_PLACED),
        ),
        Patch("calls.call_search", "if listed.call_id.casefold() in others_ids or not", "if not"),
        Patch("calls.ledger.progress", "    if _is_others(tx, record, call.call_id):\n        return False\n", ""),
        _NO_CALL_ID_INDEX,
    ),
    broken(
        "the same key is sent again long after the first request",
        Plan(
            "the response is lost when the call has ended, and the list can't be read",
            (_TABLE,),
            (Ask(0),),
            quirks=Quirks(forgets_keys=True),
            troubles=(Trouble(502, placed=True, delay=96),),
            look_troubles=(Trouble(503),) * 6,
        ),
        Patch("calls.timing", "resend_within: float = 1.0", "resend_within: float = 1000"),
    ),
    broken(
        "a refusal of the second request is taken for a proof",
        Plan(
            "the first response is lost, and the second request is refused",
            (_TABLE,),
            (Ask(0), Ask(200)),
            quirks=Quirks(lists_ended_only=True),
            troubles=(Trouble("cut", placed=True), Trouble(422)),
        ),
        Patch("calls.run", "if self._lost is not None or not proves_no_call(answer)", "if not proves_no_call(answer)"),
    ),
    broken(
        "a limit is not checked when a call is reserved",
        Plan(
            "twelve tasks at once, and two calls an hour are allowed",
            tuple(_task(task_description=f"Ask question {number}") for number in range(12)),
            tuple(Ask(0, task=number) for number in range(12)),
            calls_per_hour=2,
        ),
        Patch(
            "calls.ledger.reservation",
            "    if (refusal := check_policy(tx, asked)) is not None:",
            "    if (refusal := check_policy(tx, asked)) is not None and False:",
        ),
    ),
    broken(
        "nobody takes over the calls of a process that died",
        Plan(
            "one of two processes is killed during a call",
            (_TABLE,),
            (Ask(0),),
            (Event(5, "is killed"),),
            starts=(Start(), Start()),
        ),
        Patch("calls.worker", "if not await self.ledger.has_abandoned(self._name, self._known()):", "if True:"),
    ),
    broken(
        "an outcome is not written again into a new ledger",
        Plan(
            "the ledger is deleted during the call",
            (_TABLE,),
            (Ask(0, waits=False),),
            (Event(20, "its ledger is deleted"),),
        ),
        Patch("calls.ledger.progress", "        _write_again(tx, ended)\n", "        pass\n"),
    ),
    *(
        broken(
            f"{status} is taken for a refusal",
            Plan(
                f"{status} after the call was placed",
                (_TABLE,),
                (Ask(0), Ask(10)),
                troubles=(Trouble(status, placed=True),),
            ),
            Patch("calls.outcome", "_PROOFS = frozenset({400,", f"_PROOFS = frozenset({{{status}, 400,"),
        )
        for status in (408, 409, 425, 499, 307)
    ),
    broken(
        "a refusal after the call is taken for a proof",
        Plan(
            "402 when the call has ended, because the minutes ran out in it",
            (_TABLE,),
            (Ask(0), Ask(150)),
            troubles=(Trouble(402, placed=True, delay=100),),
        ),
        Patch("calls.timing", "refuse_within: float = 45", "refuse_within: float = 450"),
    ),
    broken(
        "a refusal that names a call is taken for a proof",
        Plan(
            "422 with the id of the call, which was not allowed to go on",
            (_task("failed"),),
            (Ask(0), Ask(150)),
            troubles=(Trouble(422, placed=True, names_call=True),),
        ),
        Patch("api.client", " or names_call(response))", ")"),
    ),
    broken(
        "429 is taken for a proof while the list can't be read",
        Plan(
            "429 after the call was placed, and then the list fails",
            (_TABLE,),
            (Ask(0), Ask(150)),
            troubles=(Trouble(429, placed=True, retry_after=60),),
            look_troubles=(Trouble(503),) * 12,
        ),
        Patch(
            "calls.run",
            "            await self._search(error, self._timing.search, refusal=error)\n            return True\n",
            "            return False\n",
        ),
    ),
    broken(
        "a key is sent again after 429 without a look into the list",
        Plan(
            "429 after the call was placed, which ends soon",
            (_task("busy"),),
            (Ask(0),),
            quirks=Quirks(forgets_keys=True),
            troubles=(Trouble(429, placed=True, retry_after=6),),
        ),
        Patch("calls.run", "if self._is_limited and await self._settle_limited(answer):", "if False:"),
    ),
    broken(
        "a clock that is set makes the same request a new call",
        Plan(
            "the clock is set forward after the outcome was told",
            (_TABLE,),
            (Ask(0), Ask(400)),
            (Event(350, "has its clock set", seconds=7200),),
        ),
        _NO_PROCESS_COUNTS_THE_TIME,
    ),
    broken(
        "a final full stop makes another call",
        Plan("asks again with a full stop", (_TABLE,), (Ask(0, gives_up=20), Ask(30, retyped=True))),
        Patch("calls.records", '.split()).rstrip(" .")', ".split())"),
    ),
    broken(
        "a listed call without details is left out",
        Plan(
            "another program placed the same call nine seconds before, and details come late",
            (_TABLE,),
            (Ask(0),),
            quirks=Quirks(details_late=20),
            troubles=_LOST,
            foreign=(Foreign(9),),
        ),
        Patch(
            "calls.call_search",
            "        except NotFoundError:\n"
            '            raise UncertainError("A listed call has no details yet.") from None\n',
            "        except NotFoundError:\n            continue\n",
        ),
    ),
    broken(
        "a ledger that fails ends the wait",
        Plan(
            "the ledger fails while the call is waited for",
            (_TABLE,),
            (Ask(0, gives_up=5), Ask(10, process=1)),
            (Event(30, "its ledger fails", seconds=20),),
            starts=(Start(), Start()),
        ),
        Patch(
            "calls.worker",
            "        with suppress(LedgerUnavailableError):\n            record = await self.ledger.find(",
            "        if True:\n            record = await self.ledger.find(",
        ),
    ),
    broken(
        "the account is not looked at",
        Plan(
            "someone else signs in after the response was lost",
            (_TABLE,),
            (Ask(0),),
            (Event(0.05, "someone else signs in"),),
            troubles=_LOST,
        ),
        Patch("calls.run", "        await self._service.check_account(self.record.account)\n", ""),
    ),
    broken(
        "a redial joins no call",
        Plan(
            "redials, gives up, and redials",
            (_TABLE,),
            (Ask(0), Ask(400, redial=True, gives_up=5), Ask(410, redial=True, process=1)),
            starts=(Start(), Start()),
        ),
        _REDIAL_JOINS_NOTHING,
        _NO_INDEX,
    ),
    broken(
        "a confirmation can be used again",
        Plan(
            "one confirmation for 15 requests at once",
            (_TABLE,),
            (Ask(0, confirms=True, redial=True, times=15),),
            confirm="always",
        ),
        _REDIAL_JOINS_NOTHING,
        _NO_INDEX,
        _CONSENT_IS_NOT_CHECKED,
        _NO_CONFIRMATION_INDEX,
    ),
    broken(
        "consent and reservation are two steps",
        Plan(
            "twelve tasks for one number at once",
            tuple(_task(task_description=f"Ask question {number}") for number in range(12)),
            tuple(Ask(0, task=number) for number in range(12)),
            confirm="auto",
        ),
        _CONSENT_IS_NOT_CHECKED,
    ),
    broken(
        "a record that can't be read is an error",
        Plan(
            "the ledger has a record of a newer version",
            (_TABLE,),
            (Ask(0), Ask(200, process=1)),
            (Event(100, "its ledger gets a newer record"),),
            starts=(Start(), Start(at=150)),
        ),
        Patch(
            "calls.ledger.rows",
            "except (ValueError, KeyError, TypeError) as error:",
            "except ZeroDivisionError as error:",
        ),
    ),
    broken(
        "old records are deleted whatever their state",
        Plan(
            "another server's clock is days ahead",
            (_TABLE,),
            (Ask(0, gives_up=30), Ask(50, process=1)),
            starts=(Start(), Start(at=1, ahead=2 * 86400)),
            quirks=Quirks(forgets_keys=True),
            keep_days=0,
        ),
        Patch(
            "calls.ledger.upkeep",
            " AND state IN ('ended', 'refused', 'canceled', 'expired') AND delivered_at IS NOT NULL",
            "",
        ),
    ),
    broken(
        "only `success` reached somebody",
        Plan(
            "a status with another spelling",
            (_TABLE,),
            (Ask(0), Ask(200)),
            quirks=Quirks(spellings={"success": "completed"}),
        ),
        Patch(
            "calls.outcome",
            "if call.plain_status not in NOBODY_REACHED or",
            'if call.status != "success":\n        return False\n    if',
        ),
    ),
    broken(
        "words of the callee are not looked for where the status says that the call failed",
        Plan("the line drops after a yes", (_task(DROPPED),), (Ask(0), Ask(200))),
        Patch("calls.findings", "callee_spoke=await read(_has_words)", "callee_spoke=False"),
    ),
    broken(
        "an outcome that nobody read counts as told",
        Plan(
            "gives up silently before voicemail, and asks again",
            (_task("voicemail"),),
            (Ask(0, gives_up=5, silently=True), Ask(60)),
        ),
        Patch(
            "calls.ledger.reservation",
            "delivered_at IS NULL OR delivered_at > :delivered_since OR placed_at > :delivered_since\n"
            "        OR reached",
            "reached",
        ),
        _NO_PROCESS_COUNTS_THE_TIME,
    ),
    broken(
        "the service's clock is not looked at",
        Plan("our clock is five minutes fast", (_TABLE,), (Ask(0),), starts=(Start(ahead=300),), troubles=_LOST),
        Patch("calls.call_search", "left + timedelta(seconds=record.clock_offset)", "left"),
        Patch("calls.call_search", "ahead = service_time - now", "ahead = timedelta(0)"),
    ),
    broken(
        "what a response tells of the service's clock is not written down",
        Plan(
            "our clock is five minutes fast, and is set after the process ended that sent the request",
            (_TABLE,),
            (Ask(0, until_told=True),),
            (Event(5, "is killed"), Event(6, "has its clock set", seconds=-300)),
            starts=(Start(ahead=300), Start(ahead=300)),
            quirks=Quirks(lists_ended_only=True),
            troubles=tuple(Trouble(502, placed=True) for _ in range(12)),
        ),
        Patch(
            "calls.ledger.progress",
            "return _ahead(service_time, record.sent_at.timestamp() + since_sent())",
            "return None",
        ),
        Patch("calls.ledger.progress", "offset=_ahead(service_time, now),", "offset=None,"),
    ),
    broken(
        "only the first page of the list is read",
        Plan(
            "200 newer calls of other programs, oldest first",
            (_TABLE,),
            (Ask(0),),
            (Event(0.01, "other programs call", number=450),),
            quirks=Quirks(lists_ended_only=True),
            troubles=_LOST,
        ),
        Patch("calls.call_search", "_MOST_PAGES = 50", "_MOST_PAGES = 1"),
    ),
    broken(
        "instructions are not part of a call",
        Plan(
            "two tasks differ in their instructions only",
            (_task(additional_instructions=["the terrace"]), _task(additional_instructions=["inside"])),
            (Ask(0), Ask(0, task=1)),
        ),
        Patch(
            "calls.records",
            "return hashlib.sha256(json.dumps(fields, sort_keys=True)",
            'fields.pop("additional_instructions", None)\n    return hashlib.sha256(json.dumps(fields, sort_keys=True)',
        ),
    ),
    broken(
        "a call without a date fits",
        Plan(
            "an old call of another program without a date",
            (_TABLE,),
            (Ask(0),),
            quirks=Quirks(dates="missing", echo="name and number"),
            troubles=_NOT_PLACED,
            foreign=(Foreign(7200),),
        ),
        Patch("calls.call_search", "return created_at is not None and", "return created_at is None or"),
    ),
    broken(
        "times are compared as texts",
        Plan(
            "19:00 is repeated as 19:00:00 after a crash",
            (_TABLE,),
            (Ask(0, until_told=True),),
            (Event(10, "is killed"),),
            starts=(Start(), Start()),
            quirks=Quirks(times="seconds"),
        ),
        Patch("calls.call_search", "time_of_day(str(value)) or normalized(str(value))", "normalized(str(value))"),
    ),
    broken(
        "a call in progress is known to its file alone, and its key is random",
        Plan(
            "the ledger is deleted while the call is in progress",
            (_TABLE,),
            (Ask(0, gives_up=20), Ask(30), Ask(31)),
            (Event(10, "its ledger is deleted"),),
        ),
        Patch(
            "calls.calls",
            "def _same_running(self, asked: CallRecord) -> CallRecord | None:\n",
            "def _same_running(self, asked: CallRecord) -> CallRecord | None:\n        return None\n",
        ),
        _RANDOM_KEY,
    ),
    broken(
        "keys are random",
        Plan("two homes of one account", (_TABLE,), (Ask(0), Ask(5, process=1)), starts=(Start(), Start(home=1))),
        _RANDOM_KEY,
    ),
    broken(
        "a request leaves at any age",
        Plan(
            "the machine is suspended before the request leaves",
            (_TABLE,),
            (Ask(0),),
            starts=(Start(at_step={6: 1000.0}),),
        ),
        Patch("calls.run", "if self._since_reserved is None or self._since_reserved.longest() > within:", "if False:"),
        Patch("calls.ledger.progress", "oldest=now - within,", "oldest=0,"),
    ),
)
"""At least one for each way in which calls were once placed twice, lost, or reported wrongly."""
