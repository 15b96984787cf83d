"""Where runs keep their ledgers."""

import os
from pathlib import Path


def fast_folder() -> Path | None:
    """A folder in memory, if there is one: processes are killed in a run, but power is never lost."""
    memory = Path("/dev/shm")  # noqa: S108 - each run makes a private folder in it
    return memory if os.access(memory, os.W_OK) else None
