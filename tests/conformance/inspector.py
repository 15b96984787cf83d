"""The MCP Inspector's CLI as a client: it lists and calls every tool, over stdio in the generation
of 2026, and over `/mcp` in that of 2025.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import anyio

from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.tools import catalog
from tests.agent import BISTRO
from tests.conformance.npm import Tools
from tests.processes import COMMAND, environment
from tests.sandbox.sandbox_app import sandbox_app

SECONDS = 60
"""The time-out of one use; it takes at most two seconds."""

SPEED = "400"
"""The sandbox's speed, relative to real time: no call takes a second."""

MODES = {"stdio": "modern", "/mcp": "legacy"}
"""The value of the CLI's --protocol-era for each transport: 2026-07-28, or with a handshake."""

TOOLS = tuple(tool.name for tool in catalog.tools())
"""The tools, in the order of their use: `make_call` is the first, and others need its `call_id`."""


@dataclass(frozen=True)
class Finding:
    """The result of one use of the Inspector, or of a scenario. `fault` is None if it passed."""

    what: str
    transport: str
    fault: str | None


async def inspect(tools: Tools, url: str, folder: Path) -> list[Finding]:
    """Use the Inspector for every tool; over stdio each use starts a server, with the same home
    folder.

    `url` is that of a kallyai-mcp with a sandbox at `SPEED`; `folder` is for the homes.
    """
    found: list[Finding] = []
    with sandbox_app(speed=float(SPEED)) as app:
        # Or each server over stdio would import and make one of its own.
        async with running(app) as api:
            signed_in = {
                "API_URL": api,
                "ACCESS_TOKEN": app.state.sandbox.issue_tokens()["access_token"],
            }

            async def use(transport: str) -> None:
                found.extend(
                    await _use_all(
                        tools,
                        transport,
                        url,
                        folder / f"inspector-{transport.strip('/')}",
                        signed_in,
                    )
                )

            async with anyio.create_task_group() as tasks:
                for transport in MODES:
                    tasks.start_soon(use, transport)
    return sorted(found, key=lambda each: each.transport)


async def _use_all(
    tools: Tools, transport: str, url: str, home: Path, signed_in: Mapping[str, str]
) -> list[Finding]:
    await anyio.Path(home).mkdir(parents=True)
    settings = {
        name: value
        for name, value in environment(home, **signed_in).items()
        if name.startswith("KALLYAI_")
    }
    server, command = (
        [word for name, value in settings.items() for word in ("-e", f"{name}={value}")],
        ["--", *COMMAND],
    )
    if transport == "/mcp":
        server, command = ["--server-url", f"{url}/mcp"], []
    inspector = [
        *tools.inspector(),
        "--cli",
        *server,
        "--protocol-era",
        MODES[transport],
        "--format",
        "json",
        "--quiet",
    ]
    own = environment(home) | {"HOME": str(home), "USERPROFILE": str(home)}
    found: list[Finding] = []

    async def use(what: str, *options: str) -> Mapping[str, Any]:
        """Run it, and note whether it succeeds; returns the result.

        Its exit code for isError is 5.
        """
        with anyio.fail_after(SECONDS):
            done = await anyio.run_process([*inspector, *options, *command], check=False, env=own)
        fault = (
            f"exit code {done.returncode}: {done.stdout.decode()[-500:]} "
            f"{done.stderr.decode()[-500:]}"
        )
        found.append(Finding(what, transport, fault if done.returncode else None))
        result: Mapping[str, Any] = json.loads(done.stdout or b"{}").get("result", {})
        return result

    listed = await use("tools/list --strict", "--method", "tools/list", "--strict")
    names = {tool["name"] for tool in listed.get("tools", [])}
    found.append(
        Finding(
            "the tools",
            transport,
            None if names == set(TOOLS) else f"unexpected: {names ^ set(TOOLS)}",
        )
    )
    call_id = "none"
    for tool in TOOLS:
        arguments = json.dumps(_arguments(tool, f"Bistro {transport.strip('/')}", call_id))
        answer = await use(
            tool, "--method", "tools/call", "--tool-name", tool, "--tool-args-json", arguments
        )
        call_id = answer.get("structuredContent", {}).get("call_id", call_id)
    return found


def _arguments(tool: str, business: str, call_id: str) -> dict[str, Any]:
    if tool == "make_call":
        soon = (date.today() + timedelta(days=3)).isoformat()  # noqa: DTZ011 - the sandbox uses the system's clock
        return BISTRO | {"business_name": business, "appointment_date": soon, "wait_seconds": 20}
    if tool == "call_around":
        numbers = ("+14155551234", "+12025550100")
        candidates = [
            {"respondent_phone": number, "business_name": f"{business} {number}"}
            for number in numbers
        ]
        task = {
            "task_category": "general",
            "task_description": "Ask for the opening hours",
            "until": "answered",
        }
        return {**task, "candidates": candidates, "wait_seconds": 20}
    (schema,) = (each.parameters for each in catalog.tools() if each.name == tool)
    return {"call_id": call_id} if "call_id" in schema.get("required", ()) else {}
