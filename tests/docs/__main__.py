"""Runs the commands on the pages that install something, as they are written: in a new clone, with a new home.

    uv run python -m tests.docs

Needs PostgreSQL and a package index. Exits with 1 at the first command that fails. Of the other commands,
tests/docs/test_pages.py runs those of the program, and `.ci/run` those of a contributor.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import httpx2

from kallyai_mcp.testing.sandbox import running_sandbox
from tests.bundle.check import clean_copy
from tests.docs.pages import DOCS, PAGES, commands, fenced, is_run_with_pins
from tests.postgres_server import PostgresServer
from tests.processes import free_port
from tests.programs import own_environment, run_well

EXPORTED = {'"kallyai.calls.ended"', '"kallyai.calls.refused"', '"kallyai.api.requests"', '"tools/call make_call"'}
LINES = 20_000
"""Of the output, within which they are exported; that is half a minute."""


def run_commands(clone: Path, variables: Mapping[str, str]) -> None:
    """Run those of all pages, in their order. Who tests an agent is beside the clone."""
    (clone.parent / "test_agent.py").write_text(fenced("docs/testing-agents.md", "python")[0], encoding="utf-8")
    for page in PAGES:
        for line in commands(page):
            if not line.startswith("kallyai-mcp ") and not is_run_with_pins(line):
                folder = clone.parent if page.name == "testing-agents.md" else clone
                run_shown(line, folder, variables)


def run_recipe(clone: Path, variables: Mapping[str, str]) -> None:
    """Run the recipe of docs/hosting.md with OpenTelemetry's launcher, and see that it exports spans and counters."""
    _, *lines, serve = fenced("docs/hosting.md", "sh")[0].splitlines()
    (install,) = (line for line in commands(DOCS / "hosting.md") if "opentelemetry" in line)  # in place of the first
    run_shown(install, clone, variables)
    port, missing = free_port(), EXPORTED
    serve = serve.replace("0.0.0.0", "127.0.0.1").replace("8000", str(port))  # noqa: S104 - the address on the page
    script = "\n".join([*lines, f"exec opentelemetry-instrument {serve}"])
    with PostgresServer() as server, running_sandbox(clone.parent / "sandbox") as sandbox:
        more = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "kallyai", "KALLYAI_API_URL": sandbox.url}
        more |= {f"OTEL_{each}_EXPORTER": "console" for each in ("TRACES", "METRICS")} | {"OTEL_LOGS_EXPORTER": "none"}
        more |= {"OTEL_METRIC_EXPORT_INTERVAL": "500", "KALLYAI_CONFIRM": "never", **variables}
        command = ["/bin/sh", "-euc", script]
        with subprocess.Popen(command, cwd=clone, env=more, stdout=subprocess.PIPE, text=True) as run:
            try:
                for number in ("+12025550142", "+12025550121"):  # the second one is refused
                    ask_for_a_call(f"http://127.0.0.1:{port}/mcp", number, sandbox.access_token)
                for line in islice(run.stdout or (), LINES):
                    missing = {name for name in missing if name not in line}
                    if not missing:
                        break
            finally:
                run.terminate()
    assert not missing, missing


def ask_for_a_call(url: str, number: str, token: str) -> None:
    """Ask as a client does, once the server answers."""
    arguments = {"task_category": "general", "task_description": "Ask when they close", "respondent_phone": number}
    params = {"name": "make_call", "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    with httpx2.Client(transport=httpx2.HTTPTransport(retries=8), headers=headers, timeout=60) as client:
        client.post(url, json=body).raise_for_status()


def run_shown(line: str, folder: Path, variables: Mapping[str, str]) -> None:
    """Run a line in a shell, and print it."""
    print(line, flush=True)
    run_well(["sh", "-c", line], folder=folder, variables=variables)


def main() -> None:
    """Run all of them; the caches of uv and pip are the user's."""
    with tempfile.TemporaryDirectory() as name:
        home, mine = Path(name) / "home", Path(name) / "mine" / "bin"
        run_well([sys.executable, "-m", "venv", mine.parent])
        home.mkdir()
        path = os.pathsep.join([str(home / ".local" / "bin"), str(mine), os.environ["PATH"]])
        caches = {"XDG_CACHE_HOME": str(Path.home() / ".cache")}
        variables = own_environment() | caches | {"HOME": str(home), "PATH": path}
        clone = clean_copy(Path(name) / "kallyai-mcp")
        run_recipe(clone, variables)
        run_commands(clone, variables)


if __name__ == "__main__":
    main()
