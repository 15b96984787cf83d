"""Several uvicorn workers on one port."""

import multiprocessing
import sqlite3
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import anyio
import httpx2
import pytest

from kallyai_mcp.cli.serve_http import from_environment
from tests.processes import environment
from tests.transports.http_server import CALL, LIMIT, SECRET_KEYS, connected_agent, running_sandbox
from tests.transports.workers import COMMAND, uvicorn

SECRET = "a-secret-of-many-characters"


async def place(url: str, task: str, tracking_ids: list[str]) -> None:
    """Place a call over a new connection."""
    async with connected_agent(url, token=SECRET) as agent:
        placed = await agent.use("make_call", CALL | {"task_description": task}, wait_seconds=0)
    tracking_ids.append(placed.data["tracking_id"])


async def place_in_both(home: Path, url: str) -> list[str]:
    """Place calls until two workers have one each; returns the tracking ids."""
    ids: list[str] = []
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        while ledger.execute("SELECT count(DISTINCT worker) FROM calls").fetchone() < (2,):
            async with anyio.create_task_group() as tasks:
                # At the same time: one idle worker tends to answer all others.
                for number in range(4):
                    tasks.start_soon(place, url, f"Call {len(ids)} {number}", ids)
    return ids


async def statuses(url: str, mode: str, tracking_ids: Iterable[str], seconds: float) -> set[str]:
    async with connected_agent(url, mode, token=SECRET) as agent:
        answers = [
            await agent.use("get_call", call_id=id_, wait_seconds=seconds) for id_ in tracking_ids
        ]
    return {str(answer.data.get("status", answer.text)) for answer in answers}


@pytest.mark.programs
@pytest.mark.skipif(
    sys.platform == "win32", reason="uvicorn's workers are told to stop by a signal"
)
async def test_two_workers_share_and_take_over_calls(tmp_path: Path) -> None:
    """With SQLite; `tests/faults/test_real_processes.py` kills a server that has its ledger in
    PostgreSQL, too.
    """
    async with running_sandbox(tmp_path) as sandbox:
        given = {
            "API_URL": sandbox.url,
            "ACCESS_TOKEN": sandbox.token("acct-business"),
            "WAIT_SECONDS": "0",
        }
        given |= {
            "AUTH": "secret",
            "MCP_TOKEN": SECRET,
            "SECRET_KEYS": SECRET_KEYS,
            "LOG_LEVEL": "INFO",
        }
        async with uvicorn(tmp_path, workers=2, **given) as server:
            with anyio.fail_after(2 * LIMIT):
                same: list[str] = []
                async with anyio.create_task_group() as tasks:
                    for _ in range(8):
                        tasks.start_soon(place, server.url, "The same", same)
                ids = await place_in_both(tmp_path, server.url)
                await sandbox.wait_for_calls(1 + len(ids))
                in_progress = [
                    await statuses(server.url, mode, ids, 0) for mode in ("auto", "legacy")
                ]
                server.kill_first_worker()
                sandbox.end_calls()
                ended = [
                    await statuses(server.url, mode, ids, LIMIT) for mode in ("auto", "legacy")
                ]
                await server.wait_for_workers(3)
                async with httpx2.AsyncClient(timeout=LIMIT) as client:
                    sse = await client.get(
                        f"{server.url}/sse", headers={"Authorization": f"Bearer {SECRET}"}
                    )
                calls = await sandbox.calls()

    assert len(set(same)) == 1
    assert in_progress == [{"in_progress"}] * 2
    assert ended == [{"success"}] * 2
    assert len(calls) == 1 + len(ids)
    assert sse.status_code == 404


def test_workers_refuse_unsafe_settings_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: "uvicorn's")
    for given, words in (
        ({"AUTH": "perhaps"}, "KALLYAI_AUTH: 'perhaps'"),
        ({"AUTH": "caller"}, "KALLYAI_SECRET_KEYS is needed"),
        ({"SECRET_KEYS": SECRET_KEYS, "SANDBOX": "1"}, "KALLYAI_SANDBOX is for `serve`"),
    ):
        for name, value in environment(tmp_path, **given).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as exit_info:
            from_environment()

        text = capsys.readouterr().err
        assert exit_info.value.code == 3
        assert text.startswith(f"Error: {words}")
        assert text.count("\n") == 1


def test_the_docs_show_this_command() -> None:
    assert COMMAND in (Path(__file__).parents[2] / "docs" / "hosting.md").read_text(
        encoding="utf-8"
    )
