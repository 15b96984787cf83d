import json
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backends import null

from kallyai_mcp.auth.file_store import TokenStoreError
from kallyai_mcp.auth.token_store import SERVICE, KeyringStore, open_store
from kallyai_mcp.sandbox.accounts import SCOPES
from tests.auth.fakes import API, MemoryKeyring, tokens


def test_the_keyring_entry_is_named_after_us_and_the_origin(system_keyring: MemoryKeyring) -> None:
    KeyringStore(API).save(tokens())
    assert list(system_keyring.entries) == [("kallyai-mcp", API)]


def test_two_tokens_of_the_size_of_the_sandboxs_fit_into_an_entry_of_windows(system_keyring: MemoryKeyring) -> None:
    system_keyring.limit = 1280
    store = KeyringStore(API, packed=True)
    for size in (549, 550, 1000):
        long = tokens("a" * size, "r" * size).model_copy(update={"scope": " ".join(SCOPES), "lineage": "0" * 32})
        store.save(long)
        assert store.load() == long
        with pytest.raises(TokenStoreError):
            KeyringStore(API, packed=False).save(long)
    system_keyring.entries[SERVICE, API] = json.dumps(tokens().as_document())  # of an earlier version
    assert store.load() == tokens()


@pytest.mark.parametrize(
    "entry",
    [
        7,
        "secret",
        "[1]",
        "[" * 100_000,
        "\u5b22\ud800",
    ],
)
def test_a_broken_entry_is_logged_and_kept_and_means_not_signed_in(
    entry: Any, system_keyring: MemoryKeyring, caplog: pytest.LogCaptureFixture
) -> None:
    system_keyring.entries[SERVICE, API] = entry
    store = KeyringStore(API, packed=True)
    assert store.load() is None
    assert "is broken" in caplog.text
    assert "secret" not in caplog.text
    assert system_keyring.entries == {(SERVICE, API): entry}
    store.save(tokens())
    assert store.load() == tokens()


@pytest.mark.parametrize("action", ["get", "set", "delete"])
def test_the_error_of_a_failing_keyring_says_what_to_do_and_quotes_no_token(
    action: str, system_keyring: MemoryKeyring
) -> None:
    store = KeyringStore(API)
    store.save(tokens("secret"))
    system_keyring.broken = {action}
    with pytest.raises(TokenStoreError, match=r"OSError.*KALLYAI_TOKEN_STORE to file") as caught:
        (
            store.load
            if action == "get"
            else store.delete
            if action == "delete"
            else lambda: store.save(tokens("secret"))
        )()
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.usefixtures("no_keyring")
def test_without_a_keyring_the_error_names_the_file_store(tmp_path: Path) -> None:
    store = open_store("keyring", tmp_path, API)
    for action in (store.check, lambda: store.save(tokens())):
        with pytest.raises(TokenStoreError, match=r"no keyring.*KALLYAI_TOKEN_STORE to file"):
            action()
    assert "none is usable" in store.describe()


def test_a_keyring_that_is_off_is_an_error(system_keyring: MemoryKeyring) -> None:
    keyring.set_keyring(null.Keyring())  # type: ignore[no-untyped-call]  # keyring has no types there
    with pytest.raises(TokenStoreError):
        KeyringStore(API).save(tokens())
    assert system_keyring.entries == {}
