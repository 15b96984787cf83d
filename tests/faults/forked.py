"""Processes that are forked from one that has imported what all of them need, since that takes longer than a run."""

from collections.abc import Sequence
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import SpawnContext
from typing import cast


def processes(imported: Sequence[str]) -> SpawnContext:
    """Starts processes that have imported these modules, where processes can be forked."""
    context = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    context.set_forkserver_preload(list(imported))
    return cast("SpawnContext", context)  # both start processes in the same way
