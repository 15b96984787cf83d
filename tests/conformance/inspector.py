"""The MCP Inspector's CLI as a client: it lists and calls every tool, over stdio in the generation of 2026, and over
`/mcp` in that of 2025.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import anyio

from kallyai_mcp.sandbox.serve import running
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

TOOLS = (
    *("make_call", "get_call", "cancel_call", "list_calls", "get_transcript", "get_calendar_event"),
    *("check_quota", "sign_in", "call_around"),
)
"""The tools, in the order of their use: those after the first need its `call_id`."""


@dataclass(frozen=True)
class Finding:
    """The result of one use of the Inspector, or of a scenario. `fault` is None if it passed."""

    what: str
    transport: str
    fault: str | None


async def inspect(tools: Tools, url: str, folder: Path) -> list[Finding]:
    """Use the Inspector for every tool; over stdio each use starts a server, with the same home folder.

    `url` is that of a kallyai-mcp with a sandbox at `SPEED`; `folder` is for the homes.
    """
    found: list[Finding] = []
    with sandbox_app(speed=float(SPEED)) as app:
        async with running(app) as api:  # or each server over stdio would import and make one of its own
            signed_in = {"API_URL": api, "ACCESS_TOKEN": app.state.sandbox.issue_tokens()["access_token"]}

            async def use(transport: str) -> None:
                home = folder / f"inspector-{transport.strip('/')}"
                inspector = _Inspector(tools, transport, url, home, environment(home, **signed_in))
                found.extend([Finding(what, transport, fault) for what, fault in await _use_all(inspector)])

            async with anyio.create_task_group() as tasks:
                for transport in MODES:
                    tasks.start_soon(use, transport)
    return sorted(found, key=lambda each: each.transport)


async def _use_all(inspector: "_Inspector") -> list[tuple[str, str | None]]:
    code, listed = await inspector.use("tools/list", "--strict")
    names = {tool["name"] for tool in listed.get("tools", [])}
    fault = None if code == 0 else f"exit code {code}: {inspector.stderr}"
    if fault is None and names != set(TOOLS):
        fault = f"other tools than expected: {sorted(names ^ set(TOOLS))}"
    found: list[tuple[str, str | None]] = [("tools/list --strict", fault)]
    call_id = "none"
    for tool in TOOLS:
        arguments = json.dumps(_arguments(tool, f"Bistro {inspector.transport.strip('/')}", call_id))
        code, answer = await inspector.use("tools/call", "--tool-name", tool, "--tool-args-json", arguments)
        call_id = answer.get("structuredContent", {}).get("call_id", call_id)
        # The CLI's exit code for isError is 5: no tool may answer with an error.
        found.append((tool, None if code == 0 else f"exit code {code}: {answer or inspector.stderr}"))
    return found


def _arguments(tool: str, business: str, call_id: str) -> dict[str, Any]:
    if tool == "make_call":
        soon = (date.today() + timedelta(days=3)).isoformat()  # noqa: DTZ011 - the sandbox uses the system's clock
        return BISTRO | {"business_name": business, "appointment_date": soon, "wait_seconds": 20}
    if tool == "call_around":
        numbers = ("+14155551234", "+12025550100")
        candidates = [{"respondent_phone": number, "business_name": f"{business} {number}"} for number in numbers]
        task = {"task_category": "general", "task_description": "Ask for the opening hours", "until": "answered"}
        return {**task, "candidates": candidates, "wait_seconds": 20}
    return {"call_id": call_id} if tool in ("get_call", "cancel_call", "get_transcript", "get_calendar_event") else {}


class _Inspector:
    def __init__(self, tools: Tools, transport: str, url: str, home: Path, variables: Mapping[str, str]) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.transport, self.stderr = transport, ""
        settings = [f"{name}={value}" for name, value in variables.items() if name.startswith("KALLYAI_")]
        options = [word for setting in settings for word in ("-e", setting)]
        self._before = ["--server-url", f"{url}/mcp"] if transport == "/mcp" else options
        self._after = [] if transport == "/mcp" else ["--", *COMMAND]
        self._command = [*tools.inspector(), "--cli", *self._before, "--protocol-era", MODES[transport]]
        self._environment = environment(home) | {"HOME": str(home), "USERPROFILE": str(home)}

    async def use(self, method: str, *options: str) -> tuple[int, Mapping[str, Any]]:
        """Run it; returns the exit code and the result, and keeps the end of its stderr."""
        command = [*self._command, "--format", "json", "--quiet", "--method", method, *options, *self._after]
        with anyio.fail_after(SECONDS):
            done = await anyio.run_process(command, check=False, env=self._environment)
        self.stderr = done.stderr.decode().strip()[-500:]
        if not done.stdout.strip():
            return done.returncode, {}
        result: Mapping[str, Any] = json.loads(done.stdout)["result"]
        return done.returncode, result
