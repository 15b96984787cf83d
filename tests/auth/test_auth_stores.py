"""Token stores: the file, the system's keyring, the choice between them, and the file of the
vendor's own tools.
"""

import json
import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail

from kallyai_mcp.auth.token_store import SERVICE, TokenStore, TokenStoreError
from tests.auth.fakes import API, NOW, full_disk, jwt, tokens

LIVE = "https://api.kallyai.com"
OTHER = "https://other.example"


class MemoryKeyring(KeyringBackend):
    """A keyring for one test, which can be made to fail; `limit` is the most characters of one
    entry.

    The class has a negative priority, so that the keyring library does not choose it for other
    tests.
    """

    priority = -1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring has no types there
        self.priority = 5.0
        self.entries: dict[tuple[str, str], Any] = {}
        self.limit: int | None = None
        self.broken: set[str] = set()

    def get_password(self, service: str, username: str) -> str | None:
        self._check("get", "")
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check("set", password)
        if self.limit is not None and len(password) > self.limit:
            raise ValueError(f"too long: {password}")
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check("delete", "")
        del self.entries[service, username]

    def _check(self, action: str, password: str) -> None:
        if action in self.broken:
            raise OSError(f"locked {password}")


@pytest.fixture
def system_keyring() -> Iterator[MemoryKeyring]:
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def no_keyring() -> KeyringBackend:
    return fail.Keyring()  # type: ignore[no-untyped-call]  # keyring has no types there


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_tokens_are_saved_loaded_deleted_and_never_logged(
    tmp_path: Path, system_keyring: MemoryKeyring, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.NOTSET)
    stores: list[tuple[Literal["auto", "keyring", "file"], KeyringBackend]] = [
        ("file", system_keyring),
        ("keyring", system_keyring),
        ("auto", system_keyring),
        ("auto", no_keyring()),
    ]
    for choice, backend in stores:
        keyring.set_keyring(backend)
        store = TokenStore(choice, tmp_path, API)
        store.check()
        assert store.load() is None
        store.save(tokens("secret-access", "secret-refresh"))
        store.save(tokens("secret-access-1", None))
        assert store.load() == tokens("secret-access-1", None)
        for _ in range(2):
            store.delete()
            assert store.load() is None
        assert "secret" not in repr(store) + caplog.text


def test_each_api_has_its_own_tokens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sandbox, live = TokenStore("file", tmp_path, API), TokenStore("file", tmp_path, OTHER)
    sandbox.save(tokens("sandbox"))
    assert live.load() is None
    live.save(tokens("live"))
    assert (sandbox.load(), live.load()) == (tokens("sandbox"), tokens("live"))
    sandbox.path.replace(live.path)
    assert live.load() is None
    assert f"no sign-in for {OTHER}" in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="Windows has no permission bits")
def test_the_next_sign_in_makes_its_files_private(tmp_path: Path) -> None:
    store = TokenStore("file", tmp_path / "home", API)
    places = (tmp_path / "home", store.path.parent, store.path)
    for _ in range(2):
        store.save(tokens())
        modes = [stat.S_IMODE(place.stat().st_mode) for place in places]
        for place in places:
            place.chmod(0o755)
    # The home folder keeps its mode: other programs may use it.
    assert modes == [0o755, 0o700, 0o600]


BROKEN = [b"secret", b'"secret"', b"\xff", b'{"access_token": "secret"}', b"[" * 100_000]


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_file_is_logged_and_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    store = TokenStore("file", tmp_path, API)
    store.save(tokens())
    store.path.write_bytes(content)

    assert store.load() is None
    assert store.path.read_bytes() == content
    assert str(store.path) in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(  # a number is what no keyring should return
    "entry", [*(content.decode("latin-1") for content in BROKEN), 7], ids=range(len(BROKEN) + 1)
)
def test_a_broken_keyring_entry_is_no_sign_in(
    tmp_path: Path,
    system_keyring: MemoryKeyring,
    caplog: pytest.LogCaptureFixture,
    entry: str | int,
) -> None:
    system_keyring.entries[SERVICE, API] = entry

    assert TokenStore("keyring", tmp_path, API).load() is None
    assert "secret" not in caplog.text


@pytest.mark.parametrize("kind", ["file", "keyring"])
def test_the_next_sign_in_replaces_a_broken_one(
    tmp_path: Path, system_keyring: MemoryKeyring, kind: Literal["file", "keyring"]
) -> None:
    store = TokenStore(kind, tmp_path, API)
    TokenStore("file", tmp_path, API).save(tokens())
    store.path.write_bytes(b"secret")
    system_keyring.entries[SERVICE, API] = "secret"
    store.save(tokens())

    assert store.load() == tokens()


def test_only_a_keyring_works_without_a_usable_home(
    tmp_path: Path, system_keyring: MemoryKeyring
) -> None:
    (tmp_path / "file").write_text("")
    with_keyring = TokenStore("keyring", tmp_path / "file" / "home", API)
    with_keyring.save(tokens())
    assert with_keyring.load() == tokens()
    with_keyring.delete()
    assert system_keyring.entries == {}
    store = TokenStore("file", tmp_path / "file" / "home", API)
    assert store.load() is None
    for action in (store.check, lambda: store.save(tokens())):
        with pytest.raises(
            TokenStoreError,
            match=r"can't be kept in [^\n]*\. Make its folder writable, or set KALLY",
        ):
            action()
    TokenStore("file", tmp_path / "new" / "home", API).check()
    assert not (tmp_path / "new").exists()
    folder = TokenStore("file", tmp_path, API)
    folder.path.mkdir(parents=True)
    unusable: list[Callable[[], object]] = [
        folder.load,
        folder.delete,
        lambda: folder.save(tokens()),
    ]
    for use in unusable:
        with pytest.raises(TokenStoreError, match="127"):
            use()


def test_on_windows_saving_waits_for_a_used_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, in_use = Path.replace, [True, True, False]

    def replace_later(self: Path, target: Path) -> Path:
        if in_use.pop(0):
            raise PermissionError(13, "in use")
        return replace(self, target)

    store = TokenStore("file", tmp_path, API)
    monkeypatch.setattr(Path, "replace", replace_later)
    monkeypatch.setattr("kallyai_mcp.auth.token_store._POSIX", False)
    store.save(tokens())
    assert store.load() == tokens()


def test_a_failing_keyrings_error_says_what_to_do(
    tmp_path: Path, system_keyring: MemoryKeyring
) -> None:
    store = TokenStore("keyring", tmp_path, API)
    store.save(tokens("secret"))
    actions: dict[str, Callable[[], object]] = {
        "get": store.load,
        "delete": store.delete,
        "set": lambda: store.save(tokens("secret")),
    }
    for name, action in actions.items():
        system_keyring.broken = {name}
        with pytest.raises(
            TokenStoreError, match=r"OSError.*KALLYAI_TOKEN_STORE to file"
        ) as caught:
            action()
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
    keyring.set_keyring(no_keyring())
    for action in (store.check, actions["get"], actions["set"]):
        with pytest.raises(TokenStoreError, match=r"no keyring.*KALLYAI_TOKEN_STORE to file"):
            action()


def test_auto_uses_only_a_fitting_protected_keyring(
    tmp_path: Path, system_keyring: MemoryKeyring
) -> None:
    system_keyring.limit = 1280  # that of Windows; the sandbox's tokens have 549 characters each
    for priority, size, files in ((5.0, 549, 0), (5.0, 1000, 1), (0.5, 549, 1)):
        folder = tmp_path / f"{priority} {size}"
        store = TokenStore("auto", folder, API)
        system_keyring.priority = priority
        long = tokens("a" * size, "r" * size).model_copy(update={"lineage": "0" * 32})
        store.save(long)
        assert store.load() == long
        assert len(files_in(folder)) == files


def test_auto_falls_back_to_the_file(
    tmp_path: Path, system_keyring: MemoryKeyring, caplog: pytest.LogCaptureFixture
) -> None:
    store = TokenStore("auto", tmp_path, API)
    store.save(tokens("old"))
    system_keyring.broken = {"set"}
    store.save(tokens("new"))
    system_keyring.broken = set()

    assert store.load() == tokens("new")
    assert "The sign-in goes to" in caplog.text


def test_auto_goes_back_to_the_keyring(tmp_path: Path, system_keyring: MemoryKeyring) -> None:
    store = TokenStore("auto", tmp_path, API)
    system_keyring.broken = {"set"}
    store.save(tokens("new"))
    system_keyring.broken = set()
    store.save(tokens("newest"))

    assert store.load() == tokens("newest")
    assert files_in(tmp_path) == []


def test_auto_says_that_a_keyring_is_locked(
    tmp_path: Path, system_keyring: MemoryKeyring, caplog: pytest.LogCaptureFixture
) -> None:
    store = TokenStore("auto", tmp_path, API)
    store.save(tokens())
    system_keyring.broken = {"get"}

    assert store.load() is None
    assert "Unlock the keyring" in caplog.text
    with pytest.raises(TokenStoreError):
        store.delete()


def write_vendor(path: Path, **fields: object) -> bytes:
    known = {
        "access_token": jwt(iss="k", sub="acct-1"),
        "refresh_token": "vendor-refresh",
        "expires_at": NOW,
    }
    path.write_text(json.dumps(known | fields))
    return path.read_bytes()


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The vendor's file, in the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path / ".kallyai_token.json"


@pytest.fixture
def live(vendor: Path) -> TokenStore:
    return TokenStore("file", vendor.parent / "home", LIVE)


@pytest.mark.parametrize(
    ("refresh_token", "expires_at"),
    [(None, 1_790_000_000), ("", 1_790_000_000.5), ("vendor-refresh", NOW)],
)
def test_the_vendors_tokens_are_for_the_live_api(
    live: TokenStore, vendor: Path, refresh_token: str | None, expires_at: float
) -> None:
    write_vendor(vendor, refresh_token=refresh_token, expires_at=expires_at)
    got = live.load()

    assert got is not None
    assert (got.expires_at, got.who) == (expires_at, "acct-1")
    assert (got.refresh_token is None) == (not refresh_token)
    assert TokenStore("file", vendor.parent / "home", API).load() is None


@pytest.mark.parametrize("content", [b"\xff", b'{"access_token": "secret", "expires_at": "soon"}'])
def test_a_broken_file_of_the_vendor_is_logged(
    live: TokenStore, vendor: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    vendor.write_bytes(content)

    assert live.load() is None
    assert str(vendor) in caplog.text
    assert "secret" not in caplog.text


def test_without_the_vendors_file_nobody_is_signed_in(live: TokenStore) -> None:
    assert live.load() is None


@pytest.mark.parametrize("is_broken", [False, True])
def test_the_vendors_file_is_never_written(live: TokenStore, vendor: Path, is_broken: bool) -> None:
    before = write_vendor(vendor, expires_at="soon" if is_broken else NOW)
    live.load()
    live.save(tokens("ours"))
    own = live.load()
    live.delete()

    assert own == tokens("ours")
    assert vendor.read_bytes() == before


def test_signing_out_ends_use_of_vendors_tokens(live: TokenStore, vendor: Path) -> None:
    live.delete()
    write_vendor(vendor)
    assert live.load() is not None
    with full_disk(), pytest.raises(TokenStoreError, match="No space left on device"):
        live.delete()
    assert live.load() is not None
    for _ in range(2):
        live.delete()
        assert live.load() is None
    write_vendor(vendor, access_token="renewed")
    assert live.load() is None
