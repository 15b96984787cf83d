"""The examples of docs/testing-agents.md run, and a failed assertion says what happened."""

import subprocess
import sys
from pathlib import Path

from tests.docs.pages import fenced
from tests.processes import environment

PAGE = "docs/testing-agents.md"


def test_the_example_for_pytest_passes(tmp_path: Path) -> None:
    (example,) = fenced(PAGE, "python")
    (tmp_path / "test_example.py").write_text(example, encoding="utf-8")
    options = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment(tmp_path) | {"PYTEST_ADDOPTS": ""},  # those of this run are for its own options
        timeout=60,
        check=False,
    )

    assert "1 passed" in done.stdout, done.stdout + done.stderr
