"""A number that opted out is not called without its user's yes, on both drivers of the ledger."""

from dataclasses import replace
from datetime import timedelta

import pytest

from kallyai_mcp.api.models import Call, Transcript
from kallyai_mcp.calls.errors import ConsentOutdatedError, OptedOutError
from kallyai_mcp.calls.findings import note_transcript
from kallyai_mcp.calls.ledger import rows, upkeep
from kallyai_mcp.calls.opt_outs import OptOut, OptOutReason
from kallyai_mcp.calls.policy import NOT_LOOKED_AT, Consent
from kallyai_mcp.calls.records import CallRecord, CallRequest, CallState
from kallyai_mcp.clock import Stopwatch
from tests.calls.lists import BUSY, FOR_THREE, THREE, ended, wanted
from tests.calls.world import PLACED, TABLE, Json, Reply, World, end_of, reply, shown

NUMBER = TABLE.respondent_phone
WORDS = "Please don't call us again."
OTHER = TABLE.model_copy(update={"task_description": "Ask for the hours"})
ON_A_LIST: Reply = (403, {"error": {"code": "suppression_violation"}})
ASKED = OptOut(NUMBER, "2026-01-25", OptOutReason.ASKED, "c-1", WORDS)


def says(words: str) -> Transcript:
    entry: Json = {"speaker": "HUMAN", "content": words, "timestamp": "00:00:12"}
    return Transcript.model_validate({"entries": [entry]})


async def read(here: World, call_id: str, call: Call | None = None) -> None:
    """Read the transcript of a call in which they said these words."""
    account = await here.session.account()
    await here.run(note_transcript(here.calls.context, account, says(WORDS), call_id, call))


async def opt_outs(here: World) -> list[OptOut]:
    return await here.run(here.calls.opt_outs())


async def opted_out(here: World) -> CallRecord:
    """A call whose callee asks not to be called again."""
    here.answering(
        [PLACED, *(reply("success", f"c-{n}") for n in (2, 3, 4))], transcripts={"c-1": WORDS}
    )
    return await here.call()


async def scheduled(here: World, minutes: int, *, retries: int = 0) -> CallRecord:
    """A call of another task that is due later."""
    when = here.calls.schedule_for(here.clock.now() + timedelta(minutes=minutes), retries)
    asked = CallRequest(OTHER, "America/New_York", Stopwatch(here.clock), when)
    return await here.run(here.calls.place(asked))


async def later(here: World, minutes: float) -> None:
    """Let time pass, and a little longer, so that the worker has looked at the ledger."""
    here.clock.advance(minutes * 60)
    await here.run(here.clock.sleep(25))


async def test_a_calls_end_opts_its_number_out(here: World) -> None:
    record = await opted_out(here)

    assert record.spoken is not None
    assert record.spoken.opt_out is not None
    assert await opt_outs(here) == [ASKED]


async def test_an_opt_out_outlives_its_call(here: World) -> None:
    record = await opted_out(here)
    here.clock.advance(100 * 86_400)
    while await here.run(here.ledger.write(None, upkeep.purge, 90 * 86_400.0)):
        pass

    assert await here.run(here.calls.find_known(record.account, record.tracking_id)) is None
    with pytest.raises(OptedOutError):
        await here.place(OTHER)


@pytest.mark.parametrize("consent", [NOT_LOOKED_AT, Consent("test", "never_asks")])
async def test_nobody_is_called_without_a_question(here: World, consent: Consent) -> None:
    record = await opted_out(here)
    here.clock.advance(1)  # the order of what is written in the same instant is not kept
    with pytest.raises(OptedOutError) as refused:
        await here.place(OTHER, consent=consent)
    newest = (await here.run(here.ledger.read(rows.audit, record.account, 1)))[0]

    assert (refused.value.code, len(here.service.keys)) == ("opted_out", 1)
    assert newest["outcome"] == "refused:opted_out"


async def test_a_consent_without_it_is_outdated(here: World) -> None:
    record = await opted_out(here)
    agreed = Consent("test", "form", last_calls=(record.asked_at,))
    with pytest.raises(ConsentOutdatedError):
        await here.place(OTHER, consent=agreed)


async def test_a_yes_to_it_is_for_one_call(here: World) -> None:
    record = await opted_out(here)
    agreed = Consent("test", "form", last_calls=(record.asked_at,), opt_outs=(ASKED.id,))
    placed = await here.outcome(await here.place(OTHER, consent=agreed))

    await here.tell(placed)
    assert placed.state is CallState.ENDED
    assert await opt_outs(here) == [ASKED]
    with pytest.raises(OptedOutError):
        await here.place(OTHER, redial=True)


async def test_a_yes_may_lift_it(here: World) -> None:
    record = await opted_out(here)
    agreed = Consent("test", "form", last_calls=(record.asked_at,), opt_outs=(ASKED.id,))
    await here.place(OTHER, consent=replace(agreed, lifts_opt_out=True))

    assert await opt_outs(here) == []


async def test_a_removed_opt_out_does_not_come_back(here: World) -> None:
    await opted_out(here)
    removed = await here.run(here.calls.remove_opt_out(NUMBER))
    await read(here, "c-1")

    assert removed == ASKED
    assert await opt_outs(here) == []
    assert (await here.call(OTHER)).state is CallState.ENDED


async def test_a_due_call_is_not_placed(here: World) -> None:
    waiting = await scheduled(here, 30)
    await opted_out(here)
    await later(here, 30)
    record = await here.find(waiting.tracking_id)

    assert end_of(record) == (CallState.REFUSED, "opted_out")
    assert len(here.service.keys) == 1


async def test_a_retry_is_not_placed(here: World) -> None:
    here.answering([reply("busy", "c-2"), PLACED], transcripts={"c-1": WORDS})
    waiting = await scheduled(here, 10, retries=1)
    await later(here, 10)
    await here.call()
    await later(here, 30)

    assert end_of(await here.find(waiting.tracking_id)) == (CallState.REFUSED, "opted_out")
    assert len(here.service.keys) == 2


async def test_a_due_call_agreed_to_is_placed(here: World) -> None:
    record = await opted_out(here)
    agreed = Consent("test", "form", last_calls=(record.asked_at,), opt_outs=(ASKED.id,))
    when = here.calls.schedule_for(here.clock.now() + timedelta(minutes=30), 0)
    asked = CallRequest(OTHER, "America/New_York", Stopwatch(here.clock), when)
    waiting = await here.run(here.calls.place(asked, consent=agreed))
    await later(here, 30)

    assert (await here.find(waiting.tracking_id)).state is CallState.ENDED


async def test_a_list_passes_a_candidate_who_opted_out(here: World) -> None:
    await opted_out(here)
    here.answering(BUSY)
    candidates = [OTHER, *THREE[1:]]
    requested = await wanted(here, candidates)
    agreed = replace(FOR_THREE, last_calls=await here.run(here.calls.last_calls(requested)))
    begun, _ = await here.run(here.calls.place_list(requested, agreed, Stopwatch(here.clock)))
    done = await ended(here, begun)

    assert end_of(done.records[0]) == (CallState.REFUSED, "opted_out")
    assert [one.state for one in done.records[1:]] == [CallState.ENDED] * 2


async def test_a_list_calls_whom_its_consent_quoted(here: World) -> None:
    await opted_out(here)
    here.answering([reply("busy", f"c-{number}") for number in (2, 3, 4)])
    requested = await wanted(here, [*THREE[1:], OTHER])
    called = await here.run(here.calls.last_calls(requested))
    agreed = replace(FOR_THREE, how="form", last_calls=called, opt_outs=(ASKED.id,))
    begun, _ = await here.run(here.calls.place_list(requested, agreed, Stopwatch(here.clock)))
    done = await ended(here, begun)

    assert [one.state for one in done.records] == [CallState.ENDED] * 3


async def test_a_transcript_that_is_read_later_counts(here: World) -> None:
    await here.call()
    await read(here, "c-1")

    assert await opt_outs(here) == [ASKED]


async def test_a_call_of_another_program_counts(here: World) -> None:
    here.answering(calls=[shown("c-9")])
    with here.calls.context.api() as api:
        call = await here.run(api.get_call("c-9"))
    await read(here, "c-9", call)

    assert await opt_outs(here) == [replace(ASKED, call_id="c-9")]


async def test_kallyais_refusal_counts(here: World) -> None:
    here.answering([ON_A_LIST])
    await here.call()
    [found] = await opt_outs(here)

    assert (found.number, found.reason, found.quote) == (NUMBER, OptOutReason.SUPPRESSED, None)
