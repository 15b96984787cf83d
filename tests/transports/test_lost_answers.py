"""A client that leaves before its answer, and comes back, finds its call over HTTP; for stdio see tests/frameworks.

No transport resumes a stream: `/mcp` and `/sse` send no event ids, so a client has no `Last-Event-ID` to name.
The ledger has the outcome instead; docs/frameworks.md says why.
"""

from pathlib import Path

import anyio

from tests.transports.http_server import CALL, CONNECTIONS, LIMIT, connected_agent, running_sandbox, running_server


async def test_a_client_whose_connection_is_cut_asks_again_and_gets_the_outcome(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as sandbox, running_server(sandbox.settings()) as url:
        for number, connection in enumerate(CONNECTIONS, 1):
            call = CALL | {"task_description": f"Call {number}"}
            with anyio.fail_after(LIMIT):
                with anyio.CancelScope() as cut:
                    async with connected_agent(url, connection) as agent, anyio.create_task_group() as tasks:
                        tasks.start_soon(agent.client.call_tool, "make_call", {**call, "wait_seconds": LIMIT})
                        await sandbox.wait_for_calls(number)
                        cut.cancel()
                sandbox.end_calls()
                async with connected_agent(url, connection) as agent:
                    again = await agent.use("make_call", call, wait_seconds=LIMIT)

            assert (again.data["placed_now"], again.data["status"]) == (False, "success")
        assert len(await sandbox.calls()) == len(CONNECTIONS)
