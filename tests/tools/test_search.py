"""list_calls finds a call by its words."""

import pytest
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from kallyai_mcp.calls.search_words import Search
from kallyai_mcp.tools.granted import may_read_transcripts
from kallyai_mcp.tools.structure.models import CallPageAnswer
from kallyai_mcp.tools.text.listing import listing
from kallyai_mcp.tools.text.plain import Reader
from tests.agent import BISTRO, Agent
from tests.calls.ledgers import NOW
from tests.conftest import one_generation

mode = pytest.fixture(one_generation)

ASK = {
    **{name: BISTRO[name] for name in ("task_category", "respondent_phone", "timezone")},
    "task_description": "Ask about the terrace",
    "questions": ["Is there parking?"],
}


async def test_did_i_ask_about_parking(agent: Agent) -> None:
    asked = await agent.use("make_call", ASK)
    found = await agent.use("list_calls", about="PÁRKING")

    assert found.text.startswith(
        'Searched for "PÁRKING", only in calls that this program has a record of.'
    )
    assert "Ask about the terrace" in found.text
    assert 'They said: "Yes, behind the building."' in found.text
    assert [row["call_id"] for row in found.data["calls"]] == [asked.data["call_id"]]
    assert found.data["calls"][0]["quote"] == "Yes, behind the building."


@pytest.mark.parametrize("wanted", [{"about": "dogs"}, {"about": "parking", "status": "booked"}])
async def test_what_was_not_asked_is_not_found(agent: Agent, wanted: dict[str, str]) -> None:
    await agent.use("make_call", ASK)
    found = await agent.use("list_calls", **wanted)

    assert found.text.endswith("\nNo calls to show.")
    assert found.data["calls"] == []


async def test_until_leaves_newer_calls_out(agent: Agent) -> None:
    await agent.use("make_call", ASK)

    assert (await agent.use("list_calls", until="2026-01-01")).data["calls"] == []
    assert len((await agent.use("list_calls", until="2027-01-01")).data["calls"]) == 1


@pytest.mark.parametrize(
    ("scopes", "may_read"), [(["calls:read"], False), (["calls:read", "transcripts:read"], True)]
)
def test_quotations_need_the_scope_for_transcripts(scopes: list[str], may_read: bool) -> None:
    token = AccessToken(token="t", client_id="c", scopes=scopes)
    before = auth_context_var.set(AuthenticatedUser(token))
    try:
        assert may_read_transcripts() is may_read
    finally:
        auth_context_var.reset(before)


def test_a_page_says_how_far_it_looked() -> None:
    text = listing(
        CallPageAnswer(),
        (),
        (),
        (),
        Reader("America/New_York", NOW),
        offset=0,
        is_ledger_read=True,
        searched_for=Search("they close", with_quotes=True, most=11),
        looked_back_to=NOW,
    )

    assert text.splitlines()[1:] == [
        "Many calls have one of these words, so only those since Jan 25 10:30 AM were searched. "
        'Earlier ones: until "2026-01-25T10:30:00-05:00".',
        "No calls to show.",
    ]
