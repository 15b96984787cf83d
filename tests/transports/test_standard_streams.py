"""A signal ends the process at any moment."""

import subprocess
import sys

import pytest

from tests.processes import LIMIT

INTERRUPTED_WRITE = """\
import io, os, signal, sys
from kallyai_mcp.transports.standard_streams import exit_on_signals

class Interrupted(io.RawIOBase):
    def writable(self):
        return True

    def write(self, data):
        os.kill(os.getpid(), signal.SIGINT)
        return len(data)

exit_on_signals()
sys.stderr = io.TextIOWrapper(io.BufferedWriter(Interrupted()), write_through=True)
sys.stderr.write("Ctrl-C ends it.")
sys.stderr.flush()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send signals to a process")
def test_ctrl_c_ends_a_process_that_is_writing_to_stderr() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WRITE], check=False, capture_output=True, text=True, timeout=LIMIT
    )

    assert (done.returncode, done.stderr) == (130, "")
