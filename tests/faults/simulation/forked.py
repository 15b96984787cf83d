"""Processes that are forked from one that has imported what all of them need, since that takes longer than a run."""

from collections.abc import Sequence
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext


def processes(imported: Sequence[str]) -> BaseContext:
    """Starts processes; the first use in a process decides what is imported.

    Args:
        imported: The modules that a process has when it starts, where processes can be forked.
    """
    context = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    context.set_forkserver_preload(list(imported))
    return context
