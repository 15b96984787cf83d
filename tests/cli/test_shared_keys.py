"""The keys that protect request state: which processes accept what another one has protected."""

from pathlib import Path

import pytest
from mcp.server.request_state import InvalidRequestState

from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.shared_keys import SharedKeys, request_state_security
from tests.agent import settings_in
from tests.cli.machine import run_in_process

KEYS = f"{'0123456789abcdef' * 4},{'fedcba9876543210' * 4}"


async def loaded_keys(home: Path) -> SharedKeys:
    """The keys of one HTTP server that has started with this home folder."""
    connection = Connection(settings_in(home))
    await connection.keys.load(connection.shared_state())
    await connection.close()
    return connection.keys


async def test_servers_with_one_ledger_accept_each_others_state_also_after_a_restart(tmp_path: Path) -> None:
    one, other = [request_state_security(await loaded_keys(tmp_path)) for _ in range(2)]

    assert other.codec.unseal(one.codec.seal(b"state")) == b"state"


def test_a_process_that_has_loaded_no_key_accepts_only_its_own_state() -> None:
    one, other = (request_state_security(SharedKeys()) for _ in range(2))
    sealed = one.codec.seal(b"state")

    assert one.codec.unseal(sealed) == b"state"
    with pytest.raises(InvalidRequestState):
        other.codec.unseal(sealed)


async def test_without_a_ledger_a_server_uses_a_key_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    codec = request_state_security(await loaded_keys(tmp_path)).codec

    assert codec.unseal(codec.seal(b"state")) == b"state"


async def test_keys_of_the_settings_are_used_as_they_are(tmp_path: Path) -> None:
    connection = Connection(settings_in(tmp_path, SECRET_KEYS=KEYS))
    await connection.keys.load(connection.shared_state())

    assert list(connection.keys()) == [bytes.fromhex(key) for key in KEYS.split(",")]
    assert not (tmp_path / "ledger.db").exists()


@pytest.mark.parametrize("arguments", [("serve",), ("serve", "--transport", "http", "--port", "0")])
def test_a_shared_database_without_keys_is_one_line_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run_in_process(tmp_path, *arguments, DATABASE_URL="postgresql://user:secret@127.0.0.1:9/calls")

    assert done.returncode == 2
    assert done.stderr.startswith("Error: KALLYAI_DATABASE_URL needs KALLYAI_SECRET_KEYS")
    assert len(done.stderr.splitlines()) == 1
    assert "user:secret" not in done.stderr


def test_a_malformed_database_url_is_one_line_and_is_not_repeated(tmp_path: Path) -> None:
    done = run_in_process(tmp_path, DATABASE_URL="postgresql://user:secret@[::/calls", SECRET_KEYS=KEYS)

    assert done.returncode == 2
    assert done.stderr == "Error: KALLYAI_DATABASE_URL is not a valid URL of a PostgreSQL database\n"
