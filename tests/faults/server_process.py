"""Starts the servers of a run, most of them forked, since that takes a fraction of a start's time.

Some are still started as a user's client starts them: those whose clock differs, and a fifth of all others.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import anyio.abc

from tests.forked_python import CAN_FORK
from tests.processes import COMMAND, FORKED_COMMAND


def is_forked(seed: int) -> bool:
    """Whether the servers of this seed are forked, where that is possible."""
    return CAN_FORK and seed % 5 != 0


async def start(
    arguments: Sequence[str],
    env: Mapping[str, str],
    *,
    stderr: Path | None = None,
    forked: bool,
    command: Sequence[str] | None = None,
) -> anyio.abc.Process:
    """Start `python -m kallyai_mcp`.

    Args:
        arguments: Of the command line.
        env: All environment variables.
        stderr: Where its stderr goes; None for a stream.
        forked: Fork it; otherwise start Python anew.
        command: Starts another program in its place.
    """
    command = [*(command or (FORKED_COMMAND if forked else COMMAND)), *arguments]
    if stderr is None:
        return await anyio.open_process(command, env=env)
    with stderr.open("wb") as errors:
        return await anyio.open_process(command, stderr=errors, env=env)
