"""Calls over HTTP, readiness, and shutdown."""

import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import anyio
import anyio.to_thread
import httpx2
import pytest
from mcp import Client
from starlette.applications import Starlette

from kallyai_mcp.sandbox.faults import Fault, FaultPlan
from kallyai_mcp.tools import catalog
from kallyai_mcp.transports import asgi_app
from tests.agent import Agent
from tests.cli.machine import run_in_process
from tests.processes import started
from tests.transports.http_server import (
    ACCEPT,
    CALL,
    CONNECTIONS,
    LIMIT,
    RunningSandbox,
    connected_agent,
    running_app,
    running_server,
)

SECRET = "a-secret-of-many-characters"


async def test_every_connection_follows_a_call_after_cuts(
    sandbox: RunningSandbox,
) -> None:
    """No transport resumes a stream: the client asks again, and the ledger has the call
    (docs/frameworks.md).
    """
    async with running_server(sandbox.settings()) as url:
        for number, connection in enumerate(CONNECTIONS, 1):
            call = CALL | {"business_name": connection}
            with anyio.fail_after(LIMIT):
                with anyio.CancelScope() as cut:
                    async with (
                        connected_agent(url, connection) as agent,
                        anyio.create_task_group() as tasks,
                    ):
                        tools = await agent.client.list_tools()
                        tasks.start_soon(
                            agent.client.call_tool, "make_call", {**call, "wait_seconds": LIMIT}
                        )
                        await sandbox.wait_for_calls(number)
                        cut.cancel()
                async with connected_agent(url, connection) as agent:
                    again = await agent.use("make_call", call, wait_seconds=0)
                    sandbox.end_calls()
                    ended = await agent.use(
                        "get_call", call_id=again.data["tracking_id"], wait_seconds=LIMIT
                    )

            assert len(tools.tools) == len(catalog.tools())
            assert (again.data["placed_now"], again.data["status"]) == (False, "in_progress")
            assert ended.data["status"] == "success"
        assert len(await sandbox.calls()) == len(CONNECTIONS)


async def test_health_and_ready_report_only_their_status(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi_app, "REMEMBER_SECONDS", 0)
    fault = Fault(kind="unavailable_before", times=50, method="GET", path="/v1/users/me/statistics")
    async with (
        running_server(sandbox.settings(MCP_TOKEN=SECRET)) as url,
        httpx2.AsyncClient(timeout=LIMIT) as client,
    ):
        ready = await client.get(f"{url}/ready")
        sandbox.app.state.sandbox.set_faults(FaultPlan(faults=[fault]))
        trouble = await client.get(f"{url}/ready")
        alive = await client.get(f"{url}/health", headers={"Host": "10.0.0.7"})
        sandbox.app.state.sandbox.set_faults(FaultPlan(faults=[]))

    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "checks": {"api": "ok", "ledger": "ok"}},
    )
    assert trouble.status_code == 503
    assert trouble.json() == {
        "status": "not ready",
        "checks": {"api": "unreachable", "ledger": "ok"},
    }


async def test_concurrent_requests_to_ready_share_one_check() -> None:
    now, checks = [100.0], Counter[str]()

    async def api() -> None:
        checks["api"] += 1
        await anyio.lowlevel.checkpoint()
        if checks["api"] > 1:
            raise ConnectionError

    app = Starlette(routes=asgi_app.status_routes({"api": api}, clock=lambda: now[0]))
    async with running_app(app) as url, httpx2.AsyncClient(timeout=LIMIT) as client:
        answers: list[int] = []

        async def ask() -> None:
            answers.append((await client.get(f"{url}/ready")).status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(ask)
        now[0] += 1.9
        await ask()
        asked_in_two_seconds = checks["api"]
        now[0] += 0.2
        await ask()

    assert answers == [200] * 51 + [503]
    assert asked_in_two_seconds == 1


async def test_ready_runs_the_checks_that_it_names() -> None:
    async def fails() -> None:
        raise ConnectionError

    app = Starlette(
        routes=asgi_app.status_routes({"api": fails, "ledger": anyio.lowlevel.checkpoint})
    )
    async with running_app(app) as url, httpx2.AsyncClient(timeout=LIMIT) as client:
        ledger, both, other = [
            await client.get(f"{url}/ready{query}")
            for query in ("?check=ledger", "", "?check=disk")
        ]

    assert (ledger.status_code, ledger.json()["checks"]) == (200, {"ledger": "ok"})
    assert (both.status_code, both.json()["checks"]["api"]) == (503, "unreachable")
    assert (other.status_code, other.text) == (
        400,
        "There is no such check. The checks are: api, ledger",
    )


@pytest.mark.programs
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
async def test_sigterm_ends_a_server_during_a_call(tmp_path: Path) -> None:
    """And during streams; no traceback is logged."""
    options = ["serve", "--transport", "http", "--port", "0", "--sandbox", "--speed", "0.01"]
    with started(tmp_path, *options) as process, anyio.fail_after(LIMIT):
        url = url_of(process)
        async with (
            Client(f"{url}/mcp") as client,
            client.listen(resources_list_changed=True),
            httpx2.AsyncClient(timeout=LIMIT) as http,
            http.stream("GET", f"{url}/sse") as stream,
        ):
            opened = await anext(stream.aiter_lines())
            placed = await Agent(client).use("make_call", CALL, wait_seconds=0)
            process.send_signal(signal.SIGTERM)
            code = await anyio.to_thread.run_sync(process.wait, LIMIT)
        assert process.stderr is not None
        log = process.stderr.read()

    assert "endpoint" in opened
    assert placed.data["status"] == "in_progress"
    assert code == 0
    assert [word for word in ("Exception", "CancelledError", "Traceback") if word in log] == []


@pytest.mark.programs
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
async def test_sigterm_ends_a_server_with_canceled_requests(
    tmp_path: Path,
) -> None:
    """KallyAI accepts each connection, and never answers the TLS handshake."""
    params = {"name": "get_transcript", "arguments": {"call_id": "c-1"}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    head = {
        **ACCEPT,
        "Host": "localhost",
        "Content-Type": "application/json",
        "Content-Length": len(body),
    }
    request = "\r\n".join(
        ["POST /mcp HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", body]
    )
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        settings = {"API_URL": url, "ACCESS_TOKEN": "secret", "RATE_LIMIT": "1000/minute"}
        with started(
            tmp_path, "serve", "--transport", "http", "--port", "0", **settings
        ) as process:
            url = url_of(process)
            with anyio.fail_after(LIMIT):
                clients = [
                    await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2]))
                    for _ in range(500)
                ]
                for client in clients:
                    await client.send(request.encode())
                connected = [
                    await anyio.to_thread.run_sync(silent.accept, abandon_on_cancel=True)
                    for _ in clients
                ]
                for client in clients:
                    await anyio.aclose_forcefully(client)
                for connection, _ in connected:
                    with connection:
                        while await anyio.to_thread.run_sync(
                            connection.recv, 65_536, abandon_on_cancel=True
                        ):
                            # The greeting of the handshake comes first, then the end of the
                            # connection.
                            pass
                process.send_signal(signal.SIGTERM)
                code = await anyio.to_thread.run_sync(process.wait, LIMIT)

    assert code == 0


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("kallyai-mcp serves ")
    return line.split()[2].removesuffix("/mcp")


def test_a_taken_address_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_in_process(tmp_path, "serve", "--transport", "http", "--port", port)

    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert port in done.stderr


def test_unsafe_options_are_refused_at_start(tmp_path: Path) -> None:
    refused: list[tuple[list[str], dict[str, str], str]] = [
        (["--host", "0.0.0.0"], {}, "0.0.0.0 lets others reach this server"),  # noqa: S104 - it is refused
        ([], {"AUTH": "secret"}, "--auth secret needs KALLYAI_MCP_TOKEN (docs/hosting.md)"),
        (["--auth", "caller", "--sandbox"], {}, "--auth caller needs a KallyAI that gives tokens"),
        (
            [],
            {"PUBLIC_URL": "https://phone.example.com"},
            "KALLYAI_PUBLIC_URL lets others reach this server",
        ),
        (
            [],
            {"ALLOWED_HOSTS": "localhost, phone.example.com:*"},
            "KALLYAI_ALLOWED_HOSTS lets others reach",
        ),
        (
            [],
            {"ALLOWED_ORIGINS": "https://agent.example.com"},
            "KALLYAI_ALLOWED_ORIGINS lets others reach",
        ),
    ]
    for arguments, settings, words in refused:
        done = run_in_process(tmp_path, "serve", "--transport", "http", *arguments, **settings)

        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert done.stdout == ""
