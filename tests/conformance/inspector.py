"""The MCP Inspector's CLI as a client: it lists and calls every tool, over stdio and `/mcp`, in both eras."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import anyio

from tests.agent import BISTRO
from tests.conformance.npm import Tools
from tests.processes import COMMAND, environment

SECONDS = 60
"""How long one use may take; it takes two seconds at most."""

SPEED = "400"
"""How many times faster than real the sandbox's calls are: none takes a second."""

AT_ONCE = 2
ERAS = ("legacy", "modern")
"""As the CLI's --protocol-era has them: by handshake, and 2026-07-28."""

TOOLS = (
    "make_call",
    "get_call",
    "list_calls",
    "get_transcript",
    "get_calendar_event",
    "check_quota",
    "get_billing_link",
    "sign_in",
)
"""In the order in which they can be called: what follows the first needs its `call_id`."""


@dataclass(frozen=True)
class Finding:
    """What one use of the Inspector found.

    Attributes:
        what: The method, or the tool.
        era: One of `ERAS`.
        transport: `stdio` or `/mcp`.
        fault: What was wrong; None when nothing was.
    """

    what: str
    era: str
    transport: str
    fault: str | None


async def inspected(tools: Tools, url: str, folder: Path) -> list[Finding]:
    """What all uses found; over stdio each starts a server of its own, on what the last one left.

    Args:
        tools: Has the Inspector.
        url: The base URL of a telephone on a sandbox of `SPEED`.
        folder: For the home of the Inspector and of the servers over stdio.
    """
    found: list[Finding] = []
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def visit(era: str, transport: str) -> None:
        async with limiter:
            home = folder / f"inspector-{era}-{transport.strip('/')}"
            inspector = _Inspector(tools, era, _where(url, transport, home), home)
            found.extend(Finding(what, era, transport, fault) for what, fault in await _visit(inspector, transport))

    async with anyio.create_task_group() as tasks:
        for transport in ("stdio", "/mcp"):
            for era in ERAS:
                tasks.start_soon(visit, era, transport)
    return sorted(found, key=lambda each: (each.transport, each.era))


def _where(url: str, transport: str, home: Path) -> tuple[list[str], list[str]]:
    """The options that come before everything, and the server's command after it."""
    if transport == "/mcp":
        return ["--server-url", f"{url}/mcp"], []
    settings = {name: value for name, value in environment(home).items() if name.startswith("KALLYAI_")}
    options = [word for name, value in settings.items() for word in ("-e", f"{name}={value}")]
    return options, ["--", *COMMAND, "serve", "--sandbox", "--speed", SPEED]


async def _visit(inspector: "_Inspector", transport: str) -> list[tuple[str, str | None]]:
    code, listed = await inspector.use("tools/list", "--strict")
    names = {tool["name"] for tool in listed.get("tools", [])}
    fault = None if code == 0 else f"exit code {code}: {inspector.complaint}"
    if fault is None and names != set(TOOLS):
        fault = f"other tools than expected: {sorted(names ^ set(TOOLS))}"
    found: list[tuple[str, str | None]] = [("tools/list --strict", fault)]
    call_id = "none"
    for tool in TOOLS:
        given = _arguments(tool, f"Bistro {inspector.era} {transport.strip('/')}", call_id)
        arguments = ("--tool-name", tool, "--tool-args-json", json.dumps(given))
        code, answer = await inspector.use("tools/call", *arguments)
        call_id = answer.get("structuredContent", {}).get("call_id", call_id)
        # 5 is the CLI's exit code for isError: every tool must answer what it was asked.
        found.append((tool, None if code == 0 else f"exit code {code}: {answer or inspector.complaint}"))
    return found


def _arguments(tool: str, business: str, call_id: str) -> dict[str, Any]:
    if tool == "make_call":
        soon = (date.today() + timedelta(days=3)).isoformat()  # noqa: DTZ011 - the sandbox keeps real time
        return BISTRO | {"business_name": business, "appointment_date": soon, "wait_seconds": 20}
    return {"call_id": call_id} if tool in ("get_call", "get_transcript", "get_calendar_event") else {}


class _Inspector:
    def __init__(self, tools: Tools, era: str, where: tuple[list[str], list[str]], home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.era = era
        self.complaint = ""
        self._command = tools.inspector()
        self._before, self._after = where
        self._environment = environment(home) | {"HOME": str(home), "USERPROFILE": str(home)}

    async def use(self, method: str, *options: str) -> tuple[int, Mapping[str, Any]]:
        """The exit code, and the result; what it says on stderr is kept as its `complaint`."""
        said = ("--cli", *self._before, "--protocol-era", self.era, "--format", "json", "--quiet", "--method", method)
        command = [*self._command, *said, *options, *self._after]
        with anyio.fail_after(SECONDS):
            done = await anyio.run_process(command, check=False, env=self._environment)
        self.complaint = done.stderr.decode().strip()[-500:]
        if not done.stdout.strip():
            return done.returncode, {}
        result: Mapping[str, Any] = json.loads(done.stdout)["result"]
        return done.returncode, result
