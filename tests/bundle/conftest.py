"""The bundle's manifest, and a skip for tests that need npm."""

import json
from typing import Any

import pytest

from tests.cards.npm import missing
from tests.programs import ROOT

Json = dict[str, Any]


@pytest.fixture(scope="session")
def npm() -> None:
    """Skips a test where there is no npm."""
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def manifest() -> Json:
    parsed: Json = json.loads((ROOT / "manifest.json").read_text(encoding="utf-8"))
    return parsed
