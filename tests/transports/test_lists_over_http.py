"""call_around for callers with tokens of their own: the list goes on while the token is good, later
with a new one.
"""

from pathlib import Path

import anyio

from tests.tools.task_client import NUMBERS
from tests.transports.http_server import LIMIT, connected_agent, running_sandbox, running_server

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


async def test_a_list_goes_on_without_its_client_until_the_token_expires_and_then_with_a_new_one(
    tmp_path: Path,
) -> None:
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings(), auth="caller") as url,
    ):
        with anyio.fail_after(LIMIT):
            async with connected_agent(url, token=sandbox.token()) as agent:
                started = await agent.use("call_around", AROUND, wait_seconds=0)
            id_ = started.data["tracking_id"]
            await sandbox.wait_for_calls(1)
            sandbox.end_calls()
            await sandbox.wait_for_calls(2)
            sandbox.clock.advance(minutes=EXPIRES)
            async with connected_agent(url, token=sandbox.token("acct-business")) as other:
                foreign = await other.use("get_call", call_id=id_)
            async with connected_agent(url, token=sandbox.token()) as agent:
                stopped = await agent.use("get_call", call_id=id_, wait_seconds=LIMIT)
                last = stopped.data["calls"][-1]["tracking_id"]
                again = await agent.use("call_around", AROUND, continue_after=last, wait_seconds=0)
                calls = await sandbox.wait_for_calls(3)
                sandbox.end_calls()
                ended = await agent.use("get_call", call_id=id_, wait_seconds=LIMIT)

    assert started.data["status"] == again.data["status"] == "in_progress"
    assert foreign.is_error
    assert stopped.data["status"] == "needs_sign_in", stopped.text
    assert stopped.text.endswith(
        f'call_around with the same arguments and continue_after "{last}".'
    )
    assert again.data["tracking_id"] == id_
    assert len(calls) == 3
    assert [call["outcome"] for call in ended.data["calls"]][:2] == ["not_reached", "not_reached"]
    assert ended.data["status"] == "needs_decision"
