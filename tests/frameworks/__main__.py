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
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters

from tests.bench.servers import serving
from tests.frameworks.drive import find_faults, name_at, was_too_slow
from tests.frameworks.snippets import FRAMEWORKS, Environment, Framework
from tests.processes import COMMAND, environment, free_port

_SPEED = "8"
"""At this speed the call takes about 25 seconds: longer than a client needs to time out, close, and ask again."""

TIMEOUT = 5
"""The time-out of the first client, in seconds: the OpenAI Agents SDK's default, the shortest of these frameworks."""

_TRIES = 3
"""How often a client is tried. On a busy machine it may time out before its call, which shows nothing."""

_AT_ONCE = 4
"""How many clients run at once; they mostly wait for calls to end."""

_STDIO = ("kallyai-mcp", "serve", "--sandbox", "--speed", _SPEED)


def main() -> int:
    """Run the snippets and print the table."""
    known = {framework.name: framework for framework in FRAMEWORKS}
    parser = argparse.ArgumentParser(prog="python -m tests.frameworks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("frameworks", nargs="*", choices=[*known, []], metavar="FRAMEWORK", help="default: all")
    parser.add_argument("--newest", action="store_true", help="use the newest versions, not the pinned ones")
    options = parser.parse_args()
    chosen = [known[name] for name in options.frameworks or known]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        failed = sum(pool.map(partial(_try, folder=Path(folder), newest=options.newest), chosen))
    print(f"{3 * len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _try(framework: Framework, *, folder: Path, newest: bool) -> int:
    """Run a framework's client over every transport, and print a line for each; returns how many failed."""
    how = "timed out" if framework.has_timeout else "has no time-out of its own, and was aborted"
    try:
        env = Environment(framework, folder / framework.name, newest=newest)
        found = _observe(env, folder / f"http-{framework.name}")
    except RuntimeError as error:
        print(f"{framework.title:18} {error}")
        return 3
    for transport, (faults, seconds) in found.items():
        passed = f"{how} after {seconds:.1f} s; one call, found again and followed to its outcome"
        print(f"{framework.title:18} {transport:6} {'; '.join(faults) or passed} ({env.versions})", flush=True)
    return sum(bool(faults) for faults, _ in found.values())


def _observe(env: Environment, home: Path) -> dict[str, tuple[list[str], float]]:
    """The faults and the seconds of the first request, by transport. A client that showed nothing is tried again."""
    results: dict[str, tuple[list[str], float]] = {}
    transports = ["stdio", "/mcp", "/sse"]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = [*COMMAND, "serve", "--transport", "http", "--port", str(port), "--sandbox", "--speed", _SPEED]
    with serving(server, port, environment(home, RATE_LIMIT="3000/minute")):
        for number in range(_TRIES):
            name = f"Bistro {env.framework.name} {number}"
            places = {each: " ".join(_STDIO) if each == "stdio" else url + each for each in transports}
            observed = dict(zip(places, env.drive(name, TIMEOUT, list(places.values())), strict=True))
            listed = asyncio.run(_calls(None, url)) + asyncio.run(_calls(env.variables, url))
            transports = []
            for transport, seen in observed.items():
                calls = [call for call in listed if call["business_name"] == name_at(name, places[transport])]
                results[transport] = find_faults(seen, calls, TIMEOUT), seen["seconds"]
                if was_too_slow(seen, calls) or seen.get("error") or "timed out" in (seen.get("patient") or ""):
                    transports.append(transport)
            if not transports:
                break
    return results


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
