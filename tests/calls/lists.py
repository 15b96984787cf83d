"""Lists of three candidates for tests, and how a process runs them."""

from collections.abc import Sequence
from dataclasses import replace

from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.call_lists import CallList, Until
from kallyai_mcp.calls.events import Found, Leave, ListRequested, Over
from kallyai_mcp.calls.ledger import lists
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.tracking_ids import new_tracking_id
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.text.call_lists import call_list
from kallyai_mcp.tools.text.plain import Reader
from tests.calls.ledgers import ACCOUNT, ended_as
from tests.calls.world import TABLE, Json, World, reply

NUMBERS = ("+12025550101", "+12025550102", "+12025550103")
THREE = [TABLE.model_copy(update={"respondent_phone": number}) for number in NUMBERS]
EVENT = (
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20260130T200000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
BUSY = [reply("busy", f"c-{number}") for number in (1, 2, 3)]
SUCCESS = [reply("success", f"c-{number}") for number in (1, 2, 3)]
NOBODY: Json = {"call_id": "c-1", "status": "no_answer"}
NO_QUESTION = Consent("test", "never_asks")
FOR_THREE = replace(NO_QUESTION, last_calls=(None,) * len(THREE))


async def wanted(
    here: World, candidates: Sequence[Submission] = THREE, until: Until = "booked"
) -> CallList:
    """A list that is not in the ledger yet."""
    return CallList(
        await here.session.account(),
        tuple(candidates),
        until,
        False,
        ("UTC",) * 3,
        here.clock.now(),
    )


async def asked_for(
    here: World, candidates: Sequence[Submission] = THREE, until: Until = "booked"
) -> tuple[CallList, bool]:
    """The list that answers a request for one, and whether it was begun by that request."""
    requested, arrived = await wanted(here, candidates, until), Stopwatch(here.clock)
    return await here.run(here.calls.place_list(requested, FOR_THREE, arrived))


async def started(
    here: World, candidates: Sequence[Submission] = THREE, until: Until = "booked"
) -> CallList:
    """A list that was begun now."""
    begun, is_new = await asked_for(here, candidates, until)
    assert is_new
    return begun


async def ended(here: World, found: CallList) -> CallList:
    """A list, once it has stopped and its last call has ended."""
    return await here.run(here.calls.wait_for_list(found, 86_400))


async def stopped(
    here: World, candidates: Sequence[Submission] = THREE, until: Until = "booked"
) -> CallList:
    """A list that was begun, and has stopped."""
    return await ended(here, await started(here, candidates, until))


async def agreed_now(here: World, found: CallList) -> Consent:
    """Consent to let a list go on, by what is known now."""
    return replace(NO_QUESTION, last_calls=await here.run(here.calls.last_calls(found)))


async def went_on(here: World, found: CallList, confirmation: str | None = None) -> CallList:
    """Let a list go on after its last call, with a new consent, and wait for its end."""
    agreed = replace(await agreed_now(here, found), confirmation_id=confirmation)
    arrived = Stopwatch(here.clock)
    going_on, _ = await here.run(here.calls.place_list(found, agreed, arrived))
    return await ended(here, going_on)


async def read_again(here: World, found: CallList) -> CallList:
    """A list as it is now."""
    again = await here.run(here.calls.find_list(found.list_id))
    assert again is not None
    return again


async def left_after_one_call(here: World, asked: CallList) -> CallList:
    """A list, new or stopped, whose process has ended after a call that reached nobody, before it
    placed the next.
    """
    worker = await here.run(here.ledger.database.take_lease())
    agreed = await agreed_now(here, asked)
    begun, _ = await here.run(
        here.ledger.handle(ACCOUNT, ListRequested(asked, agreed, worker, (new_tracking_id(),)))
    )
    call = Call.model_validate(NOBODY)
    sent = await here.run(here.ledger.handle(ACCOUNT, Leave(begun.records[-1])))
    await here.run(here.ledger.handle(ACCOUNT, Found(sent, call, proven=True)))
    await here.run(here.ledger.handle(ACCOUNT, Over(ended_as(sent, call))))
    left = await here.run(here.ledger.read(lists.find_list, ACCOUNT, asked.list_id))
    assert left is not None
    assert [each.state for each in left.records[-2:]] == [CallState.ENDED, CallState.SCHEDULED]
    return left


def calls_of(found: CallList) -> list[str | None]:
    """The ids that KallyAI gave to the calls of a list, in their order."""
    return [record.call_id for record in found.records]


def states_of(found: CallList) -> list[CallState]:
    """The states of the calls of a list, in their order."""
    return [record.state for record in found.records]


def not_called(found: CallList) -> list[str]:
    """The numbers of the candidates that a list did not call."""
    return [one.respondent_phone for one in found.not_called]


def said_of(here: World, found: CallList) -> list[str]:
    """The lines of what a model reads about a list."""
    views = [CallView.of_record(record) for record in found.records]
    return call_list(found, Reader(timezone="UTC", now=here.clock.now()), views).splitlines()
