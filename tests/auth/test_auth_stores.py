import logging
from contextlib import suppress
from pathlib import Path

import pytest

from kallyai_mcp.auth.file_store import TokenStoreError
from kallyai_mcp.auth.token_store import TokenStore, open_store
from tests.auth.fakes import API, MemoryKeyring, files_in, tokens


@pytest.fixture(params=["file", "keyring", "auto", "auto without keyring"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> TokenStore:
    kind: str = request.param
    if kind == "auto without keyring":
        request.getfixturevalue("no_keyring")
        return open_store("auto", tmp_path, API)
    request.getfixturevalue("system_keyring")
    return open_store("file" if kind == "file" else "keyring" if kind == "keyring" else "auto", tmp_path, API)


def test_saved_tokens_are_loaded(any_store: TokenStore) -> None:
    assert any_store.load() is None
    any_store.save(tokens())
    any_store.save(tokens("access-1", None))
    assert any_store.load() == tokens("access-1", None)


def test_tokens_can_be_deleted_twice(any_store: TokenStore) -> None:
    any_store.save(tokens())
    any_store.delete()
    any_store.delete()
    assert any_store.load() is None


def test_each_store_describes_its_place_without_a_token(any_store: TokenStore) -> None:
    before = any_store.describe()
    any_store.save(tokens())
    assert any_store.describe() == before
    assert "access" not in before + repr(any_store)


def test_no_store_writes_a_token_to_the_log(
    any_store: TokenStore, system_keyring: MemoryKeyring, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.NOTSET)
    any_store.save(tokens("secret-access", "secret-refresh"))
    any_store.load()
    system_keyring.broken = {"get"}
    with suppress(TokenStoreError):
        any_store.load()
    assert "secret" not in caplog.text


def test_auto_uses_the_keyring_if_there_is_one(tmp_path: Path, system_keyring: MemoryKeyring) -> None:
    open_store("auto", tmp_path, API).save(tokens())
    assert len(system_keyring.entries) == 1
    assert files_in(tmp_path) == []


@pytest.mark.usefixtures("no_keyring")
def test_auto_uses_a_file_if_there_is_no_keyring(tmp_path: Path) -> None:
    store = open_store("auto", tmp_path, API)
    store.save(tokens())
    assert files_in(tmp_path) == [Path(store.describe())]


def test_auto_does_not_use_an_unprotected_keyring(tmp_path: Path, system_keyring: MemoryKeyring) -> None:
    system_keyring.priority = 0.5
    open_store("auto", tmp_path, API).save(tokens())
    assert system_keyring.entries == {}


def test_auto_falls_back_to_the_file_and_loads_the_latest_tokens(
    tmp_path: Path, system_keyring: MemoryKeyring, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store("auto", tmp_path, API)
    store.save(tokens("old"))
    system_keyring.broken = {"set"}
    store.save(tokens("new"))
    system_keyring.broken = set()
    assert store.load() == tokens("new")
    assert store.describe().endswith(".json")
    assert "The sign-in goes to" in caplog.text
    store.save(tokens("newest"))
    assert store.load() == tokens("newest")
    assert files_in(tmp_path) == []


def test_auto_treats_a_locked_keyring_as_empty_and_logs_it(
    tmp_path: Path, system_keyring: MemoryKeyring, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store("auto", tmp_path, API)
    store.save(tokens())
    system_keyring.broken = {"get"}
    assert store.load() is None
    assert "Unlock the keyring" in caplog.text


def test_deleting_fails_if_the_keyring_cannot_be_reached(tmp_path: Path, system_keyring: MemoryKeyring) -> None:
    store = open_store("auto", tmp_path, API)
    store.save(tokens())
    system_keyring.broken = {"delete"}
    with pytest.raises(TokenStoreError):
        store.delete()
