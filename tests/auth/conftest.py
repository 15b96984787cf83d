"""A home folder for the tests of sign-in on this machine."""

from pathlib import Path

import pytest

from tests.auth.fakes import Home


@pytest.fixture
async def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")
