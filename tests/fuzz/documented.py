"""schemathesis over the sandbox's OpenAPI document, in an environment of its own.

It brings `rich`, which the MCP SDK takes up where it finds it: in the project's own environment it would change what
the server logs.
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
"""No 500, no status and no content type that is not documented, no answer that is not as its schema says."""

_SPEED = 1e6
"""How many times faster than a real one a call goes by: it answers at once."""

_ARMS_FAULTS = "put_faults__sandbox_faults_put"
"""What makes the sandbox answer 500 on purpose."""


@dataclass(frozen=True)
class Run:
    """What came of one run of schemathesis: whether all was well, all it printed, and what the sandbox answered."""

    passed: bool
    report: str
    statuses: Counter[int]

    @property
    def requests(self) -> int:
        """How many it made."""
        return self.statuses.total()


class _Counting:
    """Counts what `app` answers."""

    def __init__(self, app: ASGIApp, statuses: Counter[int]) -> None:
        self._app = app
        self._statuses = statuses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._statuses[message["status"]] += 1
            await send(message)

        await self._app(scope, receive, counted)


def run_schemathesis(signed_in: bool, examples: int, seed: int, seconds: int) -> Run:
    """Have schemathesis try a sandbox of its own.

    Args:
        signed_in: With a token.
        examples: How many for each operation.
        seed: Of its random numbers.
        seconds: For how long it may go on.

    Raises:
        RuntimeError: It could not be installed or did not start.
        TimeoutError: It hangs.
    """
    return anyio.run(_run, signed_in, examples, seed, seconds)


async def _run(signed_in: bool, examples: int, seed: int, seconds: int) -> Run:
    app = create_app(speed=_SPEED)
    statuses: Counter[int] = Counter()
    app.add_middleware(_Counting, statuses=statuses)
    token = app.state.sandbox.issue_tokens("acct-business")["access_token"] if signed_in else None
    try:
        async with running(app) as url:
            with (
                tempfile.TemporaryDirectory() as folder,
                anyio.fail_after(2 * seconds + 120),
            ):
                await anyio.Path(folder, "openapi.json").write_text(json.dumps(_answerable(app.openapi())), "utf-8")
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


def _answerable(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with the few values that a call can be placed with where it asks for any text.

    Random text is neither a phone number nor a time zone: without this no call would ever be placed.
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
        *("--exclude-operation-id", _ARMS_FAULTS),
        *("--max-examples", str(examples), "--seed", str(seed), "--max-time", str(seconds)),
        *("--phases", "examples,coverage,fuzzing,stateful", "--generation-database", "none"),
        *(("--header", f"Authorization: Bearer {token}") if token else ()),
        *("--continue-on-failure", "--no-color", "--warnings", "off"),
    ]
