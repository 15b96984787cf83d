"""Runs schemathesis on the sandbox and its OpenAPI document, in an environment of its own.

schemathesis depends on `rich`, which the MCP SDK uses wherever it is installed: in the project's environment it would
change what the server logs.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.serve import running

SCHEMATHESIS = "schemathesis==4.32.5"

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
"""No status 500, no undocumented status or content type, and every response matches its schema."""

_SPEED = 1e6
"""The speed of the sandbox, relative to real time: a call ends at once."""

_ARM_FAULTS = "put_faults__sandbox_faults_put"
"""The operation that makes the sandbox answer 500 on purpose."""


@dataclass(frozen=True)
class Run:
    """One run of schemathesis: whether it passed, what it printed, and how often each status was answered."""

    passed: bool
    report: str
    statuses: Counter[int]

    @property
    def requests(self) -> int:
        """How many requests it sent."""
        return self.statuses.total()


class _StatusCounter:
    """ASGI middleware that counts the statuses of the responses."""

    def __init__(self, app: ASGIApp, statuses: Counter[int]) -> None:
        self._app = app
        self._statuses = statuses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._statuses[message["status"]] += 1
            await send(message)

        await self._app(scope, receive, send_and_count)


def run_schemathesis(signed_in: bool, examples: int, seed: int, seconds: int) -> Run:
    """Run schemathesis on a new sandbox.

    Args:
        signed_in: Send an access token.
        examples: How many examples for each operation.
        seed: The seed of the random examples.
        seconds: How long it may run.

    Raises:
        RuntimeError: It could not be installed, or did not start.
        TimeoutError: It does not end.
    """
    return anyio.run(_run, signed_in, examples, seed, seconds)


async def _run(signed_in: bool, examples: int, seed: int, seconds: int) -> Run:
    app = create_app(speed=_SPEED)
    statuses: Counter[int] = Counter()
    app.add_middleware(_StatusCounter, statuses=statuses)
    token = app.state.sandbox.issue_tokens("acct-business")["access_token"] if signed_in else None
    try:
        async with running(app) as url:
            with (
                tempfile.TemporaryDirectory() as folder,
                anyio.fail_after(2 * seconds + 120),
            ):
                await anyio.Path(folder, "openapi.json").write_text(json.dumps(_narrowed(app.openapi())), "utf-8")
                done = await anyio.run_process(
                    _command(url, token, examples, seed, seconds),
                    check=False,
                    cwd=folder,
                    stderr=subprocess.STDOUT,
                    env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
                )
    finally:
        app.state.sandbox.close()
    report = done.stdout.decode("utf-8", "replace")
    if done.returncode not in (0, 1) or not statuses:
        raise RuntimeError(f"schemathesis ended with {done.returncode}:\n{report[-2000:]}")
    return Run(done.returncode == 0, report, statuses)


def _narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with a few values for the fields where it allows any text.

    Random text is neither a phone number nor a time zone, so without this no call would be placed.
    """
    narrowed = copy.deepcopy(document)
    schemas = narrowed["components"]["schemas"]
    schemas["CallCreateRequest"]["properties"]["timezone"]["enum"] = ["America/New_York", "Europe/Madrid", "Mars/Base"]
    asked = schemas["Submission"]["properties"]
    asked["respondent_phone"] = {"enum": ["+14155551234", "+34911234567", "+1911", "one"]}
    asked["appointment_date"] = {"enum": ["2030-01-28", None, "2026-02-30"]}
    return narrowed


def _command(url: str, token: str | None, examples: int, seed: int, seconds: int) -> list[str]:
    return [
        *("uv", "run", "--no-project", "--isolated", "--quiet", "--python", sys.executable, "--with", SCHEMATHESIS),
        *("schemathesis", "run", "openapi.json", "--url", url, "--checks", ",".join(CHECKS)),
        *("--exclude-operation-id", _ARM_FAULTS),
        *("--max-examples", str(examples), "--seed", str(seed), "--max-time", str(seconds)),
        *("--phases", "examples,coverage,fuzzing,stateful", "--generation-database", "none"),
        *(("--header", f"Authorization: Bearer {token}") if token else ()),
        *("--continue-on-failure", "--no-color", "--warnings", "off"),
    ]
