"""call_around for callers with tokens of their own: the list goes on while the token is good, later
with a new one.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.agent import Agent
from tests.tools.task_client import NUMBERS
from tests.transports.http_server import (
    LIMIT,
    RunningSandbox,
    connected_agent,
    running_sandbox,
    running_server,
)

AROUND = {
    "until": "booked",
    "task_category": "general",
    "task_description": "Ask for the opening hours",
    "candidates": [
        {"respondent_phone": NUMBERS[name]} for name in ("busy", "no_answer", "success")
    ],
}
EXPIRES = 70
"""Minutes after which a token of the sandbox is no longer good."""


@dataclass(frozen=True)
class StoppedList:
    """A list that went on without its client until its token expired."""

    sandbox: RunningSandbox
    url: str
    id_: str

    def agent(self, account: str = "acct-personal") -> AbstractAsyncContextManager[Agent]:
        """An agent with a new token."""
        return connected_agent(self.url, token=self.sandbox.token(account))


@pytest.fixture
async def stopped(tmp_path: Path) -> AsyncIterator[StoppedList]:
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings(), auth="caller") as url,
    ):
        async with connected_agent(url, token=sandbox.token()) as agent:
            started = await agent.use("call_around", AROUND, wait_seconds=0)
        await sandbox.wait_for_calls(1)
        sandbox.end_calls()
        await sandbox.wait_for_calls(2)
        sandbox.clock.advance(minutes=EXPIRES)
        yield StoppedList(sandbox, url, started.data["tracking_id"])


async def test_a_list_stops_when_its_token_expires(stopped: StoppedList) -> None:
    async with stopped.agent() as agent:
        answer = await agent.use("get_call", call_id=stopped.id_, wait_seconds=LIMIT)

    assert answer.data["status"] == "needs_sign_in", answer.text
    assert answer.text.endswith(
        "call_around later, with the same arguments and continue_after "
        f'"{answer.data["calls"][-1]["tracking_id"]}".'
    )
    assert len(await stopped.sandbox.calls()) == 2


async def test_a_list_goes_on_with_a_new_token(stopped: StoppedList) -> None:
    async with stopped.agent() as agent:
        answer = await agent.use("get_call", call_id=stopped.id_, wait_seconds=LIMIT)
        last = answer.data["calls"][-1]["tracking_id"]
        again = await agent.use("call_around", AROUND, continue_after=last, wait_seconds=0)
        calls = await stopped.sandbox.wait_for_calls(3)
        stopped.sandbox.end_calls()
        ended = await agent.use("get_call", call_id=stopped.id_, wait_seconds=LIMIT)

    assert (again.data["status"], again.data["tracking_id"]) == ("in_progress", stopped.id_)
    assert len(calls) == 3
    assert [call["outcome"] for call in ended.data["calls"]][:2] == ["not_reached", "not_reached"]
    assert ended.data["status"] == "needs_decision"


async def test_another_account_does_not_see_a_list(stopped: StoppedList) -> None:
    async with stopped.agent("acct-business") as other:
        assert (await other.use("get_call", call_id=stopped.id_)).is_error
