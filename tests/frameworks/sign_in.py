"""Signs other clients in to a hosted server (`--auth oauth`) that has the sandbox as KallyAI.

    uv run python -m tests.frameworks.sign_in [CLIENT ...]

Each client knows only the server's URL. It must open a browser, call a tool, renew its token after that has expired,
and call again. When its user has disconnected it, it must get no further, or ask the user to sign in again. The clients
run in environments of their own, made by uv or npm; the server and the user are in this process. Exits with 1 when a
client fails. It needs sh, because the browser that the clients open is a script.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import Process, TaskGroup
from anyio.streams.text import TextReceiveStream

from kallyai_mcp.sandbox.auth import tokens
from tests.auth.oauth_server.deployment import User, deploy
from tests.frameworks.snippets import FRAMEWORKS, node_packages
from tests.programs import new_environment, own_environment
from tests.transports.http_server import RunningSandbox, running_sandbox

HERE = Path(__file__).parent
LIMIT = 120
"""Seconds until a client counts as hung."""

TOKEN_SECONDS = 3
"""How long a token is valid: a client that looks at its own clock renews it after that."""


def fastmcp(folder: Path) -> list[str]:
    """The command of a client with fastmcp."""
    (packages,) = (each.packages for each in FRAMEWORKS if each.name == "fastmcp")
    return [new_environment(folder, *packages), str(HERE / "sign_in_client.py")]


def typescript(name: str, _: Path) -> list[str]:
    """The command of a client with the TypeScript SDK."""
    return ["node", str(node_packages(name, HERE / "node" / "sign_in.mjs") / "sign_in.mjs"), name]


def mcp_remote(_: Path) -> list[str]:
    """The command of a client over stdio, behind mcp-remote."""
    proxy = node_packages("mcp_remote") / "node_modules" / "mcp-remote" / "dist" / "proxy.js"
    return [sys.executable, str(HERE / "sign_in_client.py"), "node", str(proxy)]


CLIENTS: dict[str, Callable[[Path], list[str]]] = {
    "fastmcp": fastmcp,
    "typescript": partial(typescript, "typescript"),
    "typescript_1": partial(typescript, "typescript_1"),
    "mcp_remote": mcp_remote,
}


class Client:
    """A client's process: each line to it is a request to call `check_quota`, each line from it the answer as JSON."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout, self._text = process.stdin, TextReceiveStream(process.stdout), ""

    async def call(self) -> str:
        """The answer, or the client's error."""
        await self._stdin.send(b"call\n")
        while "\n" not in self._text:
            self._text += await self._stdout.receive()
        line, _, self._text = self._text.partition("\n")
        return str(json.loads(line))


async def try_client(name: str, folder: Path, sandbox: RunningSandbox) -> None:
    """Raise `AssertionError` where the client does not do what it must."""
    command = await anyio.to_thread.run_sync(CLIENTS[name], folder / name)
    opened = folder / f"{name}.urls"
    opened.touch()
    programs = folder / f"{name}-programs"
    programs.mkdir()
    (programs / "xdg-open").write_text(f"#!/bin/sh\nprintf '%s\\n' \"$1\" >> {opened}\n")
    (programs / "xdg-open").chmod(0o755)
    env = own_environment() | {
        "HOME": str(folder),
        "MCP_REMOTE_CONFIG_DIR": str(folder / "mcp-remote"),
        "BROWSER": str(programs / "xdg-open"),
        "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
    }

    async def wait_for_browser(times: int) -> str:
        """The URL that the client opens the next time."""
        while len(urls := opened.read_text().splitlines()) < times:  # noqa: ASYNC110 - a file of another process
            await anyio.sleep(0.05)
        return urls[times - 1]

    async with deploy(sandbox) as server, User() as user:
        more = ["--allow-http"] if name == "mcp_remote" else []
        process = await anyio.open_process([*command, f"{server.url}/mcp", *more], env=env, stderr=sys.stderr)
        async with process, anyio.create_task_group() as tasks:
            try:
                with anyio.fail_after(LIMIT):
                    client = Client(process)
                    await _steps(client, tasks, user, server.url, sandbox, wait_for_browser)
            finally:
                process.kill()
                tasks.cancel_scope.cancel()


async def _steps(
    client: Client,
    tasks: TaskGroup,
    user: User,
    url: str,
    sandbox: RunningSandbox,
    wait_for_browser: Callable[[int], Awaitable[str]],
) -> None:
    async def allow() -> None:
        await user.open(await user.allow(await wait_for_browser(1)))

    tasks.start_soon(allow)
    first = await client.call()
    assert "165 of 210 minutes" in first, first
    sandbox.clock.advance(seconds=TOKEN_SECONDS + 1)
    await anyio.sleep(TOKEN_SECONDS + 1)  # for clients that look at their own clock
    renewed = await client.call()
    assert "165 of 210 minutes" in renewed, renewed
    await user.press(await user.open(f"{url}/oauth/sign-out"), "")
    answers: list[str] = []

    async def call_again() -> None:
        answers.append(await client.call())

    tasks.start_soon(call_again)
    while not answers:
        with anyio.move_on_after(0.2):
            await wait_for_browser(2)
            return
    assert "165 of 210" not in answers[0], answers[0]


async def main(names: list[str]) -> int:
    """Try the clients one after another; returns the exit code."""
    failed = 0
    tokens.ACCESS_TOKEN_SECONDS = TOKEN_SECONDS
    for name in names:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                async with running_sandbox(Path(folder) / "sandbox") as sandbox:
                    await try_client(name, Path(folder), sandbox)
                print(f"{name}: signed in, called, renewed its token, and was disconnected")
            except* Exception as group:  # noqa: BLE001 - whatever a client does wrong is its line
                failed += 1
                print(f"{name}: {group.exceptions!r}")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.frameworks.sign_in", description=__doc__)
    parser.add_argument("clients", nargs="*", choices=[*CLIENTS, []], metavar="CLIENT")
    raise SystemExit(anyio.run(main, parser.parse_args().clients or list(CLIENTS)))
