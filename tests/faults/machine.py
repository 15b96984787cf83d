"""What the runs need of the machine: a folder in memory, and processes that start quickly."""

import os
from collections.abc import Sequence
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import cast


def fast_folder() -> Path | None:
    """A folder in memory, if there is one: processes are killed in a run, but power is never
    lost.
    """
    memory = Path("/dev/shm")  # noqa: S108 - each run makes a private folder in it
    return memory if os.access(memory, os.W_OK) else None


def processes(imported: Sequence[str]) -> SpawnContext:
    """Starts processes that have imported these modules, which takes longer than a run, where they
    can be forked.
    """
    context = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    context.set_forkserver_preload(list(imported))
    return cast("SpawnContext", context)  # both start processes in the same way
