import os
import stat
from pathlib import Path

import pytest

from kallyai_mcp.auth.file_store import FileStore, TokenStoreError
from tests.auth.fakes import API, LIVE, files_in, tokens

posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has no permission bits")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_each_api_has_its_own_tokens(tmp_path: Path) -> None:
    sandbox, live = FileStore(tmp_path, API), FileStore(tmp_path, LIVE)
    sandbox.save(tokens("sandbox"))
    assert live.load() is None
    live.save(tokens("live"))
    assert (sandbox.load(), live.load()) == (tokens("sandbox"), tokens("live"))


def test_a_file_that_names_another_api_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sandbox, live = FileStore(tmp_path, API), FileStore(tmp_path, LIVE)
    sandbox.save(tokens())
    Path(sandbox.describe()).replace(live.describe())
    assert live.load() is None
    assert f"not a sign-in for {LIVE}" in caplog.text


@posix_only
def test_only_the_owner_can_read_the_file_and_its_folder(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "new" / "home", API)
    store.save(tokens())
    path = Path(store.describe())
    assert [mode_of(place) for place in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]


@posix_only
def test_a_file_and_a_folder_that_others_can_read_are_made_private(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileStore(tmp_path, API)
    store.save(tokens())
    path = Path(store.describe())
    path.chmod(0o644)
    path.parent.chmod(0o755)
    assert store.load() == tokens()
    assert mode_of(path) == 0o600
    assert "mode 644" in caplog.text
    store.save(tokens())
    assert mode_of(path.parent) == 0o700


@posix_only
def test_an_existing_home_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    FileStore(tmp_path, API).save(tokens())
    assert mode_of(tmp_path) == 0o755


@pytest.mark.parametrize(
    "content", [b"{", b"secret", b'"secret"', b"\xff\xfe", b'{"access_token": "secret"}', b"[" * 100_000]
)
def test_a_broken_file_is_logged_and_kept_and_means_not_signed_in(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileStore(tmp_path, API)
    store.save(tokens())
    path = Path(store.describe())
    path.write_bytes(content)
    assert store.load() is None
    assert path.read_bytes() == content
    assert str(path) in caplog.text
    assert "secret" not in caplog.text


def test_a_broken_file_is_replaced_by_the_next_sign_in(tmp_path: Path) -> None:
    store = FileStore(tmp_path, API)
    store.save(tokens())
    Path(store.describe()).write_text("{")
    store.save(tokens())
    assert store.load() == tokens()


def test_saving_leaves_no_temporary_files(tmp_path: Path) -> None:
    store = FileStore(tmp_path, API)
    store.save(tokens("access-1"))
    store.save(tokens("access-2"))
    assert files_in(tmp_path) == [Path(store.describe())]


def test_a_failed_save_keeps_the_old_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path, API)
    store.save(tokens("old"))

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(TokenStoreError, match="No space left on device"):
        store.save(tokens("new"))
    assert store.load() == tokens("old")
    assert files_in(tmp_path) == [Path(store.describe())]


def test_the_error_names_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    store = FileStore(tmp_path, API)
    Path(store.describe()).mkdir(parents=True)
    for action in (store.load, store.delete, lambda: store.save(tokens())):
        with pytest.raises(TokenStoreError, match="127"):
            action()


def test_a_home_that_cannot_be_written_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FileStore(tmp_path / "file" / "home", API)
    assert store.load() is None
    for action in (store.check, lambda: store.save(tokens())):
        with pytest.raises(
            TokenStoreError, match=r"can't be kept in .*\. Make its folder writable, or set KALLYAI_HOME"
        ):
            action()


def test_a_check_leaves_nothing_on_the_disk(tmp_path: Path) -> None:
    FileStore(tmp_path / "new" / "home", API).check()
    assert list(tmp_path.iterdir()) == []


def test_saving_is_retried_where_a_file_in_use_cannot_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, failures = Path.replace, [PermissionError(13, "in use")] * 2

    def in_use(self: Path, target: Path) -> Path:
        if failures:
            raise failures.pop()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", in_use)
    monkeypatch.setattr("kallyai_mcp.auth.file_store._POSIX", False)
    monkeypatch.setattr("kallyai_mcp.auth.file_store._PAUSE", 0)
    store = FileStore(tmp_path, API)
    store.save(tokens())
    assert store.load() == tokens()
    failures[:] = [PermissionError(13, "in use")] * 1000
    with pytest.raises(TokenStoreError, match="in use"):
        store.save(tokens("new"))
    assert store.load() == tokens()


@posix_only
def test_saving_is_not_retried_where_the_user_lacks_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    def forbidden(_: Path, __: Path) -> Path:
        nonlocal tries
        tries += 1
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", forbidden)
    with pytest.raises(TokenStoreError, match="Permission denied"):
        FileStore(tmp_path, API).save(tokens())
    assert tries == 1
