"""A program that runs once for a whole test run, although pytest-xdist has several workers."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from filelock import FileLock


@contextlib.contextmanager
def shared_process(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    start: Callable[[], AbstractContextManager[str]],
) -> Iterator[str]:
    """The address of a program that all workers of this run use.

    The worker that needs it first starts it, and ends it when all workers are done with it.
    """
    if sys.platform == "win32":
        pytest.skip(
            "Windows has no locks that several readers share, by which the last worker ends the "
            "program"
        )
    import fcntl

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The run's own, which all its workers share (pytest-xdist, "How-tos").
        folder = folder.parent
    address = folder / f"{name}.address"
    with contextlib.ExitStack() as own, (folder / f"{name}.users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)  # while it is held, the program runs
        started = False
        try:
            with FileLock(folder / f"{name}.lock"):
                if not address.exists():
                    address.write_text(own.enter_context(start()))
                    started = True
            yield address.read_text()
        finally:
            if started:
                fcntl.flock(users, fcntl.LOCK_EX)
                address.unlink()
