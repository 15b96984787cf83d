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
    request.getfixturevalue("no_keyring" if kind == "auto without keyring" else "system_keyring")
    return open_store("file" if kind == "file" else "keyring" if kind == "keyring" else "auto", tmp_path, API)


def test_saved_tokens_are_loaded_and_deleted(any_store: TokenStore) -> None:
    any_store.check()
    assert any_store.load() is None
    place = any_store.describe()
    any_store.save(tokens())
    any_store.save(tokens("access-1", None))
    assert any_store.load() == tokens("access-1", None)
    assert any_store.describe() == place
    assert "access" not in place + repr(any_store)
    for _ in range(2):
        any_store.delete()
        assert any_store.load() is None


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


@pytest.mark.parametrize("priority", [5.0, 0.5])
def test_auto_uses_a_keyring_only_if_it_is_protected(
    priority: float, tmp_path: Path, system_keyring: MemoryKeyring
) -> None:
    system_keyring.priority = priority
    store = open_store("auto", tmp_path, API)
    store.save(tokens())
    assert len(system_keyring.entries) == (priority >= 1)
    assert files_in(tmp_path) == ([] if priority >= 1 else [Path(store.describe())])


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


def test_auto_takes_a_locked_keyring_for_empty_but_does_not_sign_out_there(
    tmp_path: Path, system_keyring: MemoryKeyring, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store("auto", tmp_path, API)
    store.save(tokens())
    system_keyring.broken = {"get"}
    assert store.load() is None
    assert "Unlock the keyring" in caplog.text
    with pytest.raises(TokenStoreError):
        store.delete()
