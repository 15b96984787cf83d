"""Several uvicorn workers on one port."""

import sys
from collections.abc import Iterable
from pathlib import Path

import anyio
import httpx2
import pytest

from kallyai_mcp.cli.serve_http import from_environment
from tests.processes import environment
from tests.transports.http_server import CALL, LIMIT, connected_agent, running_sandbox
from tests.transports.workers import COMMAND, WorkerLookup, uvicorn, worker_lookup

SECRET = "a-secret-of-many-characters"
PAGE = (Path(__file__).parents[2] / "docs" / "hosting.md").read_text(encoding="utf-8")


async def place_in_both(worker_of: WorkerLookup, url: str, task: str) -> dict[str, str]:
    """Place calls over new connections until both workers run one; returns the worker of each call, by tracking id."""
    workers: dict[str, str] = {}

    async def place(number: int) -> None:
        async with connected_agent(url, token=SECRET) as agent:
            placed = await agent.use("make_call", CALL | {"task_description": f"{task} {number}"}, wait_seconds=0)
        tracking_id = placed.data["tracking_id"]
        workers[tracking_id] = await worker_of(tracking_id)

    number = 0
    while len(set(workers.values())) < 2:
        async with anyio.create_task_group() as tasks:
            for _ in range(4):  # at the same time: one idle worker tends to answer all others
                tasks.start_soon(place, number := number + 1)
    return workers


async def statuses(url: str, mode: str, tracking_ids: Iterable[str], seconds: float) -> set[str]:
    async with connected_agent(url, mode, token=SECRET) as agent:
        answers = [await agent.use("get_call", call_id=id_, wait_seconds=seconds) for id_ in tracking_ids]
    return {str(answer.data.get("status", answer.text)) for answer in answers}


@pytest.mark.skipif(sys.platform == "win32", reason="uvicorn's workers are told to stop by a signal")
async def test_two_workers_share_their_calls_and_take_over_a_killed_ones(tmp_path: Path) -> None:
    """With SQLite; `tests/faults/test_real_processes.py` kills a server that has its ledger in PostgreSQL, too."""
    async with running_sandbox(tmp_path) as sandbox:
        token = sandbox.token("acct-business")
        given = {"API_URL": sandbox.url, "ACCESS_TOKEN": token, "WAIT_SECONDS": "0", "LOG_LEVEL": "INFO"}
        async with (
            worker_lookup(sandbox.settings(**given)) as worker_of,
            uvicorn(tmp_path, workers=2, AUTH="secret", MCP_TOKEN=SECRET, **given) as server,
        ):
            with anyio.fail_after(2 * LIMIT):
                same: list[str] = []

                async def place_the_same_call() -> None:
                    async with connected_agent(server.url, token=SECRET) as agent:
                        same.append((await agent.use("make_call", CALL, wait_seconds=0)).data["tracking_id"])

                async with anyio.create_task_group() as tasks:
                    for _ in range(8):
                        tasks.start_soon(place_the_same_call)
                before = await place_in_both(worker_of, server.url, "First")
                await sandbox.wait_for_calls(1 + len(before))
                in_progress = [await statuses(server.url, mode, before, 0) for mode in ("auto", "legacy")]
                server.kill_first_worker()
                sandbox.end_calls()
                ended = [await statuses(server.url, mode, before, LIMIT) for mode in ("auto", "legacy")]
                await server.wait_for_workers(3)
                after = await place_in_both(worker_of, server.url, "Second")
                async with httpx2.AsyncClient() as client:
                    sse = await client.get(f"{server.url}/sse", headers={"Authorization": f"Bearer {SECRET}"})
                calls = await sandbox.wait_for_calls(1 + len(before) + len(after))

    assert len(set(same)) == 1
    assert in_progress == [{"in_progress"}] * 2
    assert ended == [{"success"}] * 2
    assert len(set(after.values()) - set(before.values())) == 1
    assert len(calls) == 1 + len(before) + len(after)
    assert sse.status_code == 404
    assert "/mcp" in sse.text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "KALLYAI_AUTH=secret"),
        ({"AUTH": "perhaps"}, "KALLYAI_AUTH: 'perhaps'"),
        ({"AUTH": "secret"}, "KALLYAI_MCP_TOKEN"),
        ({"AUTH": "caller", "SANDBOX": "1"}, "KALLYAI_SANDBOX"),
    ],
)
def test_unsafe_settings_are_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, str],
    words: str,
) -> None:
    for name, value in environment(tmp_path, **settings).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as exit_info:
        from_environment()

    text = capsys.readouterr().err
    assert exit_info.value.code == 3
    assert text.startswith("Error: ")
    assert words in text
    assert text.count("\n") == 1


def test_the_docs_show_this_command() -> None:
    assert COMMAND in PAGE
