"""No derived file is old."""

import os

import pytest

from tests.update.derived import COMMAND, as_it_stands, derived, leftover


@pytest.mark.skipif(os.name != "posix", reason="other systems can't wait for a pipe")
async def test_no_derived_file_is_old() -> None:
    files = await derived()
    old = [name for name, text in files.items() if as_it_stands(name) != text]

    assert not [*old, *leftover(files)], f"run `{COMMAND}` and review what it changes"
