"""Builds of the program that are broken where only a real server over stdio shows it, and the run
that detects each.

uv run python -m tests.faults.stdio_broken NAME

This starts the broken build of that name, as `python -m kallyai_mcp` starts the real one.
"""

import runpy
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread

from tests.faults.simulation.broken import Broken, Patch, break_program
from tests.faults.simulation.plan import Plan

BUILDS = (
    (
        "an outcome that waits for a full pipe counts as told",
        Patch(
            "transports.stdio",
            "self._delivery.delivers_when_read = True",
            "self._delivery.delivers_when_read = False",
        ),
        True,
    ),
    (
        "an outcome that was written counts as read",
        Patch("transports.stdio", "self.sent - waiting", "self.sent"),
        False,
    ),
)
"""For each: its name, the change, and whether the pipe is full."""


def prove() -> int:
    """Print a line for each broken build; returns 1 if one was not detected.

    Tests show that the real one is right.
    """
    seen = [anyio.run(_counts_as_told, name, is_full) for name, _, is_full in BUILDS]
    for (name, _, _), is_seen in zip(BUILDS, seen, strict=True):
        print(f"{name:70} {'outcome lost' if is_seen else 'NOT SEEN'}")
    print(
        f"{len(BUILDS)} broken servers over stdio, {'each of them seen' if all(seen) else 'FAILED'}"
    )
    return int(not all(seen))


async def _counts_as_told(name: str, is_full: bool) -> bool:
    """Whether a server notes that an outcome was told which its client has not read."""
    # Late: a build must not import them.
    from tests.transports import http_server, stdio_peer, test_unread_outcomes

    before = stdio_peer.initialization() + (test_unread_outcomes.LISTS if is_full else b"")
    command = [sys.executable, "-m", __name__, name]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        async with http_server.running_sandbox(home) as sandbox:
            settings = test_unread_outcomes.settings_of(sandbox, is_full=is_full)
            with stdio_peer.piped(home, command, **settings) as client:
                await anyio.to_thread.run_sync(client.send, before + test_unread_outcomes.MAKE_CALL)
                await sandbox.wait_for_calls()
                sandbox.end_calls()
                with suppress(TimeoutError):
                    await test_unread_outcomes.until("delivered_at IS NOT NULL", home)
                    return True
    return False


def main() -> None:
    """Be the broken build that the command names."""
    [patch] = [patch for name, patch, _ in BUILDS if name == sys.argv[1]]
    break_program(Broken(sys.argv[1], Plan("", (), ()), (patch,)))
    sys.argv = ["kallyai-mcp", "serve"]
    runpy.run_module("kallyai_mcp", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
