"""Signs other clients in to a hosted server (`--auth oauth`) that has the sandbox as KallyAI.

    uv run python -m tests.frameworks.sign_in [CLIENT ...]

Each client knows only the server's URL. It must open a browser, call a tool, renew its token after
that has expired, and call again. When its user has disconnected it, it must get no further, or ask
the user to sign in again. Exits with 1 when a client fails. It needs uv, npm, and sh: the browser
that the clients open is a script.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

import anyio

from kallyai_mcp.sandbox.auth import tokens
from tests.auth.oauth_server.deployment import User, deploy
from tests.frameworks.snippets import FRAMEWORKS, node_packages
from tests.programs import new_environment, own_environment
from tests.transports.http_server import RunningSandbox, running_sandbox

HERE = Path(__file__).parent
CLIENTS = ("fastmcp", "typescript", "typescript_1", "mcp_remote")
LIMIT = 120
"""Seconds until a client counts as hung."""

TOKEN_SECONDS = 3
"""How long a token is valid: a client that looks at its own clock renews it after that."""


def command_of(name: str, folder: Path) -> list[str]:
    """The command of a client in `CLIENTS`, without the server's URL; mcp-remote has a client over
    stdio before it.
    """
    client = str(HERE / "sign_in_client.py")
    if name == "fastmcp":
        (packages,) = (each.packages for each in FRAMEWORKS if each.name == name)
        return [new_environment(folder, *packages), client]
    if name == "mcp_remote":
        proxy = node_packages(name) / "node_modules" / "mcp-remote" / "dist" / "proxy.js"
        return [sys.executable, client, "node", str(proxy)]
    return ["node", str(node_packages(name, HERE / "node" / "sign_in.mjs") / "sign_in.mjs"), name]


async def try_client(name: str, folder: Path, sandbox: RunningSandbox) -> None:
    """Raise `AssertionError` where the client does not do what it must.

    Each line to its process is a request to call `check_quota`; each line from it is the answer as
    JSON, or its error.
    """
    command = await anyio.to_thread.run_sync(command_of, name, folder / name)
    opened = folder / f"{name}.urls"
    opened.touch()
    browser = folder / f"{name}-programs" / "xdg-open"
    browser.parent.mkdir()
    browser.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$1\" >> {opened}\n")
    browser.chmod(0o755)
    env = own_environment() | {
        "HOME": str(folder),
        "MCP_REMOTE_CONFIG_DIR": str(folder / "mcp-remote"),
        "BROWSER": str(browser),
        "PATH": os.pathsep.join([str(browser.parent), os.environ["PATH"]]),
    }

    async def url_opened(times: int) -> str:
        """The URL that the client opens in the browser for the first or a later time."""
        while len(urls := opened.read_text().splitlines()) < times:  # noqa: ASYNC110 - a file of another process
            await anyio.sleep(0.05)
        return urls[times - 1]

    async with deploy(sandbox) as server, User() as user:
        more = ["--allow-http"] if name == "mcp_remote" else []
        process = await asyncio.create_subprocess_exec(
            *command, f"{server.url}/mcp", *more, stdin=-1, stdout=-1, env=env
        )

        async def call() -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"call\n")
            return str(json.loads(await process.stdout.readline()))

        async def allow() -> None:
            await user.open(await user.allow(await url_opened(1)))

        try:
            async with asyncio.timeout(LIMIT):
                first, _ = await asyncio.gather(call(), allow())
                assert "165 of 210 minutes" in first, first
                sandbox.clock.advance(seconds=TOKEN_SECONDS + 1)
                await anyio.sleep(TOKEN_SECONDS + 1)  # for clients that look at their own clock
                renewed = await call()
                assert "165 of 210 minutes" in renewed, renewed
                await user.press(await user.open(server.url), "")
                ends = [asyncio.create_task(each) for each in (call(), url_opened(2))]
                done, waiting = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                assert not any("165 of 210" in each.result() for each in done), done
                for each in waiting:
                    each.cancel()
        finally:
            process.kill()
            await process.wait()


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
