"""The pytest plug-in (entry point `pytest11`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kallyai_mcp.testing.sandbox import KallyAISandbox


@pytest.fixture
def kallyai_sandbox(tmp_path: Path) -> "Iterator[KallyAISandbox]":
    """A KallyAI on this machine for one test: signed in, with phone lines that the test sets.

    Nobody is called. Calls end at once, unless the test sets another duration.
    """
    try:
        from kallyai_mcp.testing.sandbox import running_sandbox
    except ModuleNotFoundError as error:
        pytest.fail(
            f"kallyai_sandbox needs {error.name}. Install it with: pip install "
            '"kallyai-mcp[sandbox]"',
            pytrace=False,
        )
    with running_sandbox(tmp_path / "kallyai") as sandbox:
        yield sandbox
