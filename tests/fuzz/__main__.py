"""Checks tools on random arguments, and the sandbox on random requests.

    uv run python -m tests.fuzz --examples 1000 --seed 0
    uv run python -m tests.fuzz --only agent --examples 10000 --seed 1

`agent`: a tool answers any arguments with a clear error or the call that was asked for. `service`
runs schemathesis on the sandbox and its OpenAPI document, in an environment of its own: with its
dependency `rich`, the MCP SDK would log in another form. Exits with 1 when something is wrong,
after the smallest example that shows it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from typing import Any

import anyio

from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.serve import running
from tests.fuzz.arguments import check_examples

SCHEMATHESIS = "schemathesis==4.32.5"

CHECKS = (
    *(
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
    ),
    "response_schema_conformance",
)
"""No status 500, no undocumented status or content type, and every response matches its schema."""

_FAULTS = "/_sandbox/faults"
"""The path whose PUT makes the sandbox answer 500 on purpose; methods that are not documented are
tried as well.
"""


async def run_schemathesis(examples: int, seed: int, seconds: int, *, signed_in: bool) -> bool:
    """Run schemathesis on a new sandbox, with so many examples for each operation, for at most so
    many seconds.

    Prints what it says, and returns whether it found nothing. `signed_in`: with an access token.
    """
    app = create_app(speed=1e6)  # a call ends at once
    token = app.state.sandbox.issue_tokens("acct-business")["access_token"]
    python = [
        "--no-project",
        "--isolated",
        "--quiet",
        "--python",
        sys.executable,
        "--with",
        SCHEMATHESIS,
    ]
    options = [
        *("--checks", ",".join(CHECKS), "--exclude-path", _FAULTS, "--seed", str(seed)),
        *(
            "--max-examples",
            str(examples),
            "--max-time",
            str(seconds),
            "--generation-database",
            "none",
        ),
        *(
            "--phases",
            "examples,coverage,fuzzing,stateful",
            "--continue-on-failure",
            "--no-color",
            "--warnings",
            "off",
        ),
        *(("--header", f"Authorization: Bearer {token}") if signed_in else ()),
    ]
    try:
        async with running(app) as url:
            with tempfile.TemporaryDirectory() as folder, anyio.fail_after(2 * seconds + 120):
                await anyio.Path(folder, "openapi.json").write_text(
                    json.dumps(_narrowed(app.openapi())), "utf-8"
                )
                done = await anyio.run_process(
                    [
                        "uv",
                        "run",
                        *python,
                        "schemathesis",
                        "run",
                        "openapi.json",
                        "--url",
                        url,
                        *options,
                    ],
                    check=False,
                    cwd=folder,
                    stderr=subprocess.STDOUT,
                    env={
                        name: value
                        for name, value in os.environ.items()
                        if not name.startswith("PYTHON")
                    },
                )
    finally:
        app.state.sandbox.close()
    print(done.stdout.decode("utf-8", "replace")[-3000:])
    return done.returncode == 0


def _narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with a few values for the fields where it allows any text.

    Random text is neither a phone number nor a time zone, so without this no call would be placed.
    """
    narrowed: dict[str, Any] = json.loads(json.dumps(document))
    schemas = narrowed["components"]["schemas"]
    schemas["CallCreateRequest"]["properties"]["timezone"]["enum"] = [
        "America/New_York",
        "Europe/Madrid",
        "Mars/Base",
    ]
    asked = schemas["Submission"]["properties"]
    asked["respondent_phone"] = {"enum": ["+14155551234", "+34911234567", "+1911", "one"]}
    asked["appointment_date"] = {"enum": ["2030-01-28", None, "2026-02-30"]}
    return narrowed


def main() -> int:
    """Run, and print the sums."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="The fuzz suite.")
    parser.add_argument("--examples", type=int, default=300, help="examples (default: 300)")
    parser.add_argument(
        "--seed", type=int, default=0, help="the seed of the random examples (default: 0)"
    )
    parser.add_argument(
        "--only", choices=["agent", "service"], action="append", help="a part; may be repeated"
    )
    parser.add_argument(
        "--seconds",
        type=int,
        default=60,
        help="time limit of schemathesis in seconds (default: 60)",
    )
    options = parser.parse_args()
    parts, passed = options.only or ["agent", "service"], True
    if "agent" in parts:
        for result, count in sorted(check_examples(options.examples, options.seed).items()):
            print(f"  {count:6} {result}")
    if "service" in parts:
        for is_in in (True, False):
            run = partial(
                run_schemathesis, min(options.examples, 100), options.seed, options.seconds
            )
            passed &= anyio.run(partial(run, signed_in=is_in))
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
