"""The bundle's manifest, and what is made of it by the tools that desktop apps have."""

import json
from typing import Any

import pytest

from tests.bundle.mcpb import ROOT
from tests.cards.npm import missing

Json = dict[str, Any]


@pytest.fixture(scope="session")
def npm() -> None:
    """Skips what needs npm where there is none."""
    if lacking := missing():
        pytest.skip(lacking)


@pytest.fixture(scope="session")
def manifest() -> Json:
    read: Json = json.loads((ROOT / "manifest.json").read_text(encoding="utf-8"))
    return read
