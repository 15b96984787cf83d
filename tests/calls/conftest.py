from pathlib import Path

import pytest

from tests.postgres_server import database_url, own_postgres, postgres

__all__ = ["database_url", "own_postgres", "postgres"]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a ledger, for each of the two drivers."""
    if request.param == "sqlite":
        return str(tmp_path / "home" / "ledger.db")
    url: str = request.getfixturevalue("database_url")
    return url
