"""Runs the snippets of docs/frameworks.md, and other clients, with the real server, over every
transport.

    uv run python -m tests.frameworks [FRAMEWORK ...]

Each framework is in an environment of its own, made by uv or npm, with a scripted model instead of
a real one; the server is a process with the embedded sandbox. A client times out after 5 s, while
the call is in progress, and the same call is asked for again: it must be found and followed to its
outcome, and must not be placed twice. A client without time-outs is aborted after 5 s; the table
says so. One whose time-out begins anew with each message of progress must get the outcome at once.
Exits with 1 when any of that fails at the last try; the faults of each try are printed.
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
from tests.frameworks.drive import find_faults, name_at
from tests.frameworks.snippets import FRAMEWORKS, Environment, Framework
from tests.processes import environment, free_port, http_command

_SPEED = "8"
"""At this speed the call takes about 25 seconds: longer than a client needs to time out, close, and
ask again.
"""

TIMEOUT = 5
"""The time-out of the first client, in seconds: the OpenAI Agents SDK's default, the shortest of
these frameworks.
"""

_TRIES = 5
"""How often a client with faults is tried, if it placed no second call, each time with 2 s more: on
a busy machine, it may time out before its call, end its server before KallyAI has the request, or
ask again after the end of the call.
"""

_AT_ONCE = 4
"""How many clients run at once; they mostly wait for calls to end."""

_STDIO = ("kallyai-mcp", "serve", "--sandbox", "--speed", _SPEED)


def main() -> int:
    """Run the clients and print the table."""
    known = {framework.name: framework for framework in FRAMEWORKS}
    parser = argparse.ArgumentParser(
        prog="python -m tests.frameworks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "frameworks", nargs="*", choices=[*known, []], metavar="FRAMEWORK", help="default: all"
    )
    chosen = [known[name] for name in parser.parse_args().frameworks or known]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        failed = sum(pool.map(partial(_try, folder=Path(folder)), chosen))
    print(f"{3 * len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _try(framework: Framework, *, folder: Path) -> int:
    """Run a framework's client over every transport, and print a line for each; returns how many
    failed.
    """
    how = "timed out" if framework.has_timeout else "has no time-out of its own, and was aborted"
    try:
        found = _observe(framework, folder / framework.name)
    except RuntimeError as error:
        print(f"{framework.title:18} {error}")
        return 3
    for transport, (faults, seconds) in found.items():
        passed = f"{how} after {seconds:.1f} s; one call, found again and followed to its outcome"
        versions = ", ".join(framework.packages)
        print(
            f"{framework.title:18} {transport:6} {'; '.join(faults) or passed} ({versions})",
            flush=True,
        )
    return sum(bool(faults) for faults, _ in found.values())


def _observe(framework: Framework, folder: Path) -> dict[str, tuple[list[str], float]]:
    """The faults and the seconds of the first request, by transport."""
    env = Environment(framework, folder)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    places = {"stdio": " ".join(_STDIO), "/mcp": f"{url}/mcp", "/sse": f"{url}/sse"}
    server = http_command(port, _SPEED)
    results: dict[str, tuple[list[str], float]] = {}
    with serving(server, port, environment(folder / "http", RATE_LIMIT="3000/minute")):
        for number in range(_TRIES):
            name, timeout = f"Bistro {framework.name} {number}", TIMEOUT + 2 * number
            seen = env.drive(name, timeout, list(places.values()))
            listed = asyncio.run(_calls(None, url)) + asyncio.run(_calls(env.variables, url))
            for (transport, where), found in zip([*places.items()], seen, strict=True):
                calls = [call for call in listed if call["business_name"] == name_at(name, where)]
                faults = find_faults(found, calls, timeout)
                results[transport] = faults, found["seconds"]
                if faults and len(calls) < 2:
                    print(
                        f"{framework.title:18} {transport:6} try {number + 1}: {'; '.join(faults)}",
                        flush=True,
                    )
                else:
                    del places[transport]
            if not places:
                break
    return results


async def _calls(variables: Mapping[str, str] | None, url: str) -> list[dict[str, Any]]:
    """The server's list of calls; over stdio, of a new server that uses the same home folder as the
    snippet's.
    """
    server = (
        f"{url}/mcp"
        if variables is None
        else StdioServerParameters(command=_STDIO[0], args=list(_STDIO[1:]), env=dict(variables))
    )
    async with Client(server, read_timeout_seconds=30) as client:
        answer = await client.call_tool("list_calls", {"limit": 200})
    assert answer.structured_content is not None
    return list(answer.structured_content["calls"])


if __name__ == "__main__":
    raise SystemExit(main())
