"""The suite's scenarios for authorization servers, with the hosted sign-in and a user who allows
what they ask for.
"""

import re
from pathlib import Path

import anyio
from anyio.streams.text import TextReceiveStream

from tests.auth.oauth_server.deployment import User, deploy
from tests.conformance.inspector import Finding
from tests.conformance.npm import Tools
from tests.processes import free_port
from tests.transports.http_server import running_sandbox

SECONDS = 120
"""The time-out of all scenarios; they take a few seconds."""

SCENARIOS = ("authorization-server-metadata-endpoint", "authorization-code-grant")


async def authorize(tools: Tools, folder: Path) -> list[Finding]:
    """Run the scenarios."""
    port = free_port()
    redirect_uri = f"http://127.0.0.1:{port}/callback"
    output = ""
    async with running_sandbox(folder) as sandbox, deploy(sandbox) as server, User() as user:
        client_id = (await server.register(redirect_uris=[redirect_uri]))["client_id"]
        options = ["--client-id", client_id, "--resource", f"{server.url}/mcp", "--port", str(port)]
        command = [*tools.suite(), "authorization", "--url", server.url, *options]
        with anyio.move_on_after(SECONDS):
            async with (
                await anyio.open_process(command) as process,
                anyio.create_task_group() as tasks,
            ):
                assert process.stdout is not None
                async for text in TextReceiveStream(process.stdout):
                    known = re.search(rf"{server.url}/oauth/authorize\S+(?=\n)", output)
                    output += text
                    if known is None and (
                        url := re.search(rf"{server.url}/oauth/authorize\S+(?=\n)", output)
                    ):
                        tasks.start_soon(_allow, user, url[0])
    return [_finding(scenario, output) for scenario in SCENARIOS]


async def _allow(user: User, url: str) -> None:
    await user.open(await user.allow(url))


def _finding(scenario: str, output: str) -> Finding:
    summary = re.search(rf"{scenario}: ([1-9]\d*) passed, 0 failed", output)
    return Finding(scenario, "oauth", None if summary else output[-2_000:])
