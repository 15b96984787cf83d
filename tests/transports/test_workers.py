"""Several uvicorn workers on one port."""

import sys
from contextlib import AsyncExitStack, closing
from pathlib import Path

import anyio
import httpx2
import pytest

from kallyai_mcp.cli.serve_http import from_environment
from tests.processes import environment
from tests.transports.http_server import LIMIT, RunningSandbox, connected_agent, running_sandbox
from tests.transports.workers import COMMAND, WorkerConnection, WorkerLookup, uvicorn, worker_lookup

SECRET = "a-secret-of-many-characters"
PAGE = (Path(__file__).parents[2] / "docs" / "hosting.md").read_text(encoding="utf-8")


async def one_call_in_each(
    lookup: WorkerLookup, sandbox: RunningSandbox, url: str, stack: AsyncExitStack, task: str
) -> dict[str, tuple[WorkerConnection, str]]:
    """Place calls over new connections until two workers run one; returns the connection and the call of each."""
    found: dict[str, tuple[WorkerConnection, str]] = {}

    async def place(number: int) -> None:
        connection = stack.enter_context(closing(WorkerConnection(url, SECRET)))
        tracking_id = await connection.place_call(f"{task} {number}")
        found.setdefault(await lookup.worker_of(tracking_id), (connection, tracking_id))

    number = 0
    while len(found) < 2:
        async with anyio.create_task_group() as tasks:
            for _ in range(4):  # at the same time: one idle worker tends to answer all others
                tasks.start_soon(place, number := number + 1)
    await sandbox.wait_for_calls(len(lookup.tracking_ids))
    return found


async def status(url: str, mode: str, tracking_id: str, seconds: float) -> str:
    async with connected_agent(url, mode, token=SECRET) as agent:
        answer = await agent.use("get_call", call_id=tracking_id, wait_seconds=seconds)
    return str(answer.data.get("status", answer.text))


@pytest.mark.skipif(sys.platform == "win32", reason="uvicorn's workers are told to stop by a signal")
async def test_two_workers_share_their_calls_and_take_over_a_killed_ones(tmp_path: Path) -> None:
    """With SQLite; `python -m tests.faults --workers` kills one of two workers with one PostgreSQL database."""
    async with running_sandbox(tmp_path) as sandbox, AsyncExitStack() as stack:
        token = sandbox.token("acct-business")
        given = {"API_URL": sandbox.url, "ACCESS_TOKEN": token, "WAIT_SECONDS": "0", "LOG_LEVEL": "INFO"}
        lookup = await stack.enter_async_context(worker_lookup(sandbox.settings(**given)))
        with anyio.fail_after(2 * LIMIT):
            async with uvicorn(tmp_path, workers=2, AUTH="secret", MCP_TOKEN=SECRET, **given) as server:
                same: list[str] = []

                async def place_the_same_call() -> None:
                    connection = stack.enter_context(closing(WorkerConnection(server.url, SECRET)))
                    same.append(await connection.place_call("The same"))
                    lookup.tracking_ids.update(same)

                async with anyio.create_task_group() as tasks:
                    for _ in range(8):
                        tasks.start_soon(place_the_same_call)
                (connection, mine), (_, others) = (
                    await one_call_in_each(lookup, sandbox, server.url, stack, "First")
                ).values()
                in_progress = [await status(server.url, mode, mine, 0) for mode in ("auto", "legacy")]
                sandbox.end_calls()
                waited = await connection.use("get_call", call_id=others, wait_seconds=LIMIT)

                before = await one_call_in_each(lookup, sandbox, server.url, stack, "Second")
                server.kill_first_worker()
                dead = [worker for worker, (connection, _) in before.items() if await connection.is_closed()]
                sandbox.end_calls()
                ends = [
                    await status(server.url, mode, tracking_id, LIMIT)
                    for mode in ("auto", "legacy")
                    for _, tracking_id in before.values()
                ]
                await server.wait_for_workers(3)
                after = await one_call_in_each(lookup, sandbox, server.url, stack, "Third")
                async with httpx2.AsyncClient() as client:
                    sse = await client.get(f"{server.url}/sse", headers={"Authorization": f"Bearer {SECRET}"})
                calls = await sandbox.wait_for_calls(len(lookup.tracking_ids))

    assert len(set(same)) == 1
    assert in_progress == ["in_progress"] * 2
    assert '"success"' in waited
    assert len(dead) == 1
    assert ends == ["success"] * 4
    assert len(set(after) - set(before)) == 1
    assert len(calls) == len(lookup.tracking_ids)
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


async def test_uvicorn_prints_only_that_line_and_does_not_restart_the_worker(tmp_path: Path) -> None:
    options = ["--factory", "kallyai_mcp.cli.serve_http:from_environment", "--port", "0"]
    with anyio.fail_after(LIMIT):
        done = await anyio.run_process(
            [sys.executable, "-m", "uvicorn", *options], env=environment(tmp_path), check=False
        )

    assert done.returncode == 3
    assert done.stderr.startswith(b"Error: The server can be reached by others")
    assert done.stderr.count(b"\n") == 1


def test_the_docs_show_this_command() -> None:
    assert COMMAND in PAGE
