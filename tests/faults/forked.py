"""Processes that are forked from one that has imported what all of them need, since that takes longer than a run."""

import tempfile
from collections.abc import Sequence
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import SpawnContext
from multiprocessing.util import get_temp_dir
from typing import cast

CAN_FORK = "forkserver" in get_all_start_methods()
"""Whether processes can be forked; otherwise each imports everything."""


def processes(imported: Sequence[str]) -> SpawnContext:
    """Starts processes; the first use in a process decides what is imported.

    Args:
        imported: The modules that a process has when it starts, where processes can be forked.
    """
    context = get_context("forkserver" if CAN_FORK else "spawn")
    _keep_socket_until_exit()
    context.set_forkserver_preload(list(imported))
    return cast("SpawnContext", context)  # both start processes in the same way


def _keep_socket_until_exit() -> None:
    """Let multiprocessing choose its folder for sockets where nothing else removes it before; pytest has its own."""
    chosen, tempfile.tempdir = tempfile.tempdir, "/tmp" if CAN_FORK else tempfile.tempdir  # noqa: S108 - a private one
    try:
        get_temp_dir()  # the first use decides
    finally:
        tempfile.tempdir = chosen
