"""Starts the servers of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import anyio.abc

from tests.processes import COMMAND


async def start(
    arguments: Sequence[str],
    env: Mapping[str, str],
    *,
    stderr: Path | None = None,
    command: Sequence[str] | None = None,
) -> anyio.abc.Process:
    """Start `python -m kallyai_mcp`.

    Args:
        arguments: Of the command line.
        env: All environment variables.
        stderr: Where its stderr goes; None for a stream.
        command: Starts another program in its place.
    """
    command = [*(command or COMMAND), *arguments]
    if stderr is None:
        return await anyio.open_process(command, env=env)
    with stderr.open("wb") as errors:
        return await anyio.open_process(command, stderr=errors, env=env)
