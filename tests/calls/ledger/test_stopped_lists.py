"""A list that has stopped places no call, whatever its calls in the ledger say."""

from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.events import Due, ListRequested, Over
from kallyai_mcp.calls.ledger import lists
from kallyai_mcp.calls.ledger.base import Ledger, Tx
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import CallState
from tests.calls.ledgers import ACCOUNT, HERE, NOW, THERE, ended_as, outcome, state_of, submission

NO_QUESTION = Consent("test", "never_asks", last_calls=(None, None))
TWO = tuple(submission(respondent_phone=number) for number in (HERE, THERE))


async def with_next_call_due(ledger: Ledger) -> CallList:
    """A list whose first call reached nobody, and whose next one is due."""
    worker = await ledger.database.take_lease()
    wanted = CallList(ACCOUNT, TWO, "booked", False, ("UTC", "UTC"), NOW)
    begun, _ = await ledger.handle(ACCOUNT, ListRequested(wanted, NO_QUESTION, worker, ("t-1",)))
    busy = ended_as(begun.records[0], outcome("busy"))
    await ledger.handle(ACCOUNT, Over(busy))
    found = await ledger.read(lists.find_list, ACCOUNT, wanted.list_id)
    assert found is not None
    return found


async def taken(ledger: Ledger, found: CallList) -> list[CallState]:
    """The states of the calls of a list that a worker takes because they are due."""
    worker = await ledger.database.take_lease()
    due = Due(worker, [found.list_id])
    return [record.state for record in await ledger.handle(ACCOUNT, due)]


async def test_a_stopped_lists_due_call_is_canceled(ledger: Ledger) -> None:
    found = await with_next_call_due(ledger)

    def stop_the_list_alone(tx: Tx) -> None:
        stop = "UPDATE call_lists SET why = :why, ended_at = :now"
        tx.run(stop, why=StopReason.CANCELED.value, now=tx.now)

    await ledger.write(ACCOUNT, stop_the_list_alone)

    assert await taken(ledger, found) == []
    assert await state_of(ledger, found.records[-1]) is CallState.CANCELED


async def test_an_open_lists_due_call_is_taken(ledger: Ledger) -> None:
    found = await with_next_call_due(ledger)

    assert await taken(ledger, found) == [CallState.RESERVED]
