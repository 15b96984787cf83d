"""Runs the snippets of docs/frameworks.md, and other clients, with the real server, over every transport.

    uv run python -m tests.frameworks [--newest] [FRAMEWORK ...]

Each framework is in an environment of its own, made by uv or npm, with a scripted model instead of a real one; the
server is a process with the embedded sandbox. A client times out after 5 s, while the call is in progress, and the same
call is asked for again: it must be found and followed to its outcome, and must not be placed twice. A client without a
time-out for a tool call is aborted after 5 s in the way that it offers; the table says so. A client whose time-out
begins anew with each message of progress must get the outcome at once. Exits with 1 when any of that fails.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters

from tests.bench.servers import free_ports, serving
from tests.frameworks.checks import find_faults, was_too_slow
from tests.frameworks.drive import name_at
from tests.frameworks.environments import Environment
from tests.frameworks.snippets import FRAMEWORKS, Framework
from tests.processes import COMMAND, environment

TRANSPORTS = ("stdio", "/mcp", "/sse")

_SPEED = "8"
"""At this speed the call takes about 25 seconds: longer than a client needs to time out, close, and ask again."""

TIMEOUT = 5
"""The time-out of the first client, in seconds: the OpenAI Agents SDK's default, the shortest of these frameworks."""

_TRIES = 3
"""How often a client is tried.

On a busy machine a server may take so long to start that the client times out before its call; that shows nothing of a
call in progress. Such clients are tried again, with the same time-out, when all others are done.
"""

_AT_ONCE = 6
"""How many clients run at once; they mostly wait for calls to end."""

_STDIO = ("kallyai-mcp", "serve", "--sandbox", "--speed", _SPEED)


@dataclass(frozen=True)
class Row:
    """The result of one client over one transport; it passed if `faults` is empty.

    Attributes:
        title: The client.
        transport: The transport.
        versions: The versions of its packages.
        faults: What was wrong, a line each.
        was_slow: It shows nothing, since the machine was too slow.
        seconds: After how many seconds the client gave up.
        how: What ended its first request.
    """

    title: str
    transport: str
    versions: str
    faults: Sequence[str]
    was_slow: bool = False
    seconds: float = 0.0
    how: str = ""


def main() -> int:
    """Run the snippets and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.frameworks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("frameworks", nargs="*", metavar="FRAMEWORK", help="default: all")
    parser.add_argument("--newest", action="store_true", help="use the newest versions, not the pinned ones")
    options = parser.parse_args()
    known = {framework.name: framework for framework in FRAMEWORKS}
    if unknown := [name for name in options.frameworks if name not in known]:
        parser.error(f"there is no snippet for {', '.join(unknown)}, only for {', '.join(known)}")
    if shutil.which("uv") is None:
        parser.error("needs uv, which makes the frameworks' environments: pip install uv")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rows = _rows([known[name] for name in options.frameworks or known], Path(folder), newest=options.newest)
    for row in rows:
        passed = f"{row.how} after {row.seconds:.1f} s; one call, found again and followed to its outcome"
        outcome = "; ".join(row.faults) or passed
        print(f"{row.title:18} {row.transport:6} {outcome} ({row.versions})")
    print(f"{time.monotonic() - began:.0f} s")
    failed = sum(bool(row.faults) for row in rows)
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _rows(frameworks: Sequence[Framework], folder: Path, *, newest: bool) -> list[Row]:
    with _http_server(folder / "http") as url, ThreadPoolExecutor(_AT_ONCE) as pool:
        tried = list(pool.map(partial(_try, folder=folder, url=url, newest=newest), frameworks))
    for env, rows in tried:
        for number in range(2, _TRIES + 1):
            if env is not None and (slow := [name for name, row in rows.items() if row.was_slow]):
                # A server of its own: the account of the first one has calls for one try of each client.
                with _http_server(folder / f"http-{env.framework.name}-{number}") as url:
                    rows |= _rows_at(env, slow, number, url)
    return [row for _, rows in tried for row in rows.values()]


@contextmanager
def _http_server(home: Path) -> Iterator[str]:
    """A server over HTTP with a sandbox of its own; yields its URL."""
    (port,) = free_ports(1)
    server = [*COMMAND, "serve", "--transport", "http", "--port", str(port), "--sandbox", "--speed", _SPEED]
    # All clients use one account, whose default limit they would reach on a fast machine.
    with serving(server, port, environment(home, RATE_LIMIT="3000/minute")):
        yield f"http://127.0.0.1:{port}"


def _try(framework: Framework, *, folder: Path, url: str, newest: bool) -> tuple[Environment | None, dict[str, Row]]:
    """Install a framework and run its client over every transport; returns its environment and the rows."""
    try:
        env = Environment(framework, folder / framework.name, newest=newest)
    except RuntimeError as error:
        return None, {each: Row(framework.title, each, "not installed", [str(error)]) for each in TRANSPORTS}
    return env, _rows_at(env, TRANSPORTS, 1, url)


def _rows_at(env: Environment, transports: Sequence[str], number: int, url: str) -> dict[str, Row]:
    """The rows of one try, with `number`, by transport."""
    places = {each: " ".join(_STDIO) if each == "stdio" else url + each for each in transports}
    name, title = f"Bistro {env.framework.name} {number}", env.framework.title
    try:
        found = dict(zip(places, env.drive(name, TIMEOUT, list(places.values())), strict=True))
    except RuntimeError as error:
        return {each: Row(title, each, env.versions, [str(error)]) for each in transports}
    on_http = asyncio.run(_calls(None, url))
    on_stdio = asyncio.run(_calls(env.variables, url)) if "stdio" in places else []
    how = "timed out" if env.framework.has_timeout else "has no time-out of its own, and was aborted"
    rows = {}
    for transport, observed in found.items():
        business = name_at(name, places[transport])
        listed = on_stdio if transport == "stdio" else on_http
        calls = [call for call in listed if call["business_name"] == business]
        was_slow = was_too_slow(observed, calls) or bool(observed.get("error"))
        was_slow = was_slow or "timed out" in (observed.get("patient") or "")
        faults = find_faults(observed, calls, TIMEOUT)
        rows[transport] = Row(title, transport, env.versions, faults, was_slow, observed["seconds"], how)
    return rows


async def _calls(variables: Mapping[str, str] | None, url: str) -> list[dict[str, Any]]:
    """The server's list of calls; over stdio, of a new server that uses the same home folder as the snippet's."""
    server = (
        f"{url}/mcp"
        if variables is None
        else StdioServerParameters(command=_STDIO[0], args=list(_STDIO[1:]), env=dict(variables))
    )
    async with Client(server, read_timeout_seconds=30) as client:
        answer = await client.call_tool("list_calls", {"limit": 200})
    assert answer.structured_content is not None
    calls: list[dict[str, Any]] = answer.structured_content["calls"]
    return calls


if __name__ == "__main__":
    raise SystemExit(main())
