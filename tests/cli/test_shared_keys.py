"""The keys that protect request state: which processes accept what another one has protected."""

from pathlib import Path

import pytest
from mcp.server.request_state import InvalidRequestState

from kallyai_mcp.cli.connection import Connection, SharedKeys
from tests.agent import settings_in

KEYS = f"{'0123456789abcdef' * 4},{'fedcba9876543210' * 4}"


async def loaded_keys(home: Path, **settings: str) -> SharedKeys:
    """The keys of one HTTP server that has started with this home folder."""
    async with Connection(settings_in(home, **settings)) as connection:
        await connection.keys.load(connection.shared_state())
    return connection.keys


async def test_servers_with_one_ledger_accept_each_others_state_also_after_a_restart(tmp_path: Path) -> None:
    given = await loaded_keys(tmp_path / "given", SECRET_KEYS=KEYS)
    one, other = [await loaded_keys(tmp_path) for _ in range(2)]
    (tmp_path / "broken" / "ledger.db").mkdir(parents=True)
    alone = await loaded_keys(tmp_path / "broken")

    assert other.unseal(one.seal(b"state")) == alone.unseal(alone.seal(b"state")) == b"state"
    with pytest.raises(InvalidRequestState):
        alone.unseal(one.seal(b"state"))
    assert list(given()) == [bytes.fromhex(key) for key in KEYS.split(",")]
