import os
import stat
from pathlib import Path

import pytest

from kallyai_mcp.auth.file_store import FileStore, TokenStoreError
from tests.auth.fakes import API, LIVE, files_in, tokens

posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has no permission bits")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_each_api_has_its_own_tokens_and_a_file_that_names_another_api_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox, live = FileStore(tmp_path, API), FileStore(tmp_path, LIVE)
    sandbox.save(tokens("sandbox"))
    assert live.load() is None
    live.save(tokens("live"))
    assert (sandbox.load(), live.load()) == (tokens("sandbox"), tokens("live"))
    Path(sandbox.describe()).replace(live.describe())
    assert live.load() is None
    assert f"not a sign-in for {LIVE}" in caplog.text


@posix_only
def test_only_the_owner_can_read_the_file_and_its_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FileStore(tmp_path / "new" / "home", API)
    store.save(tokens())
    path = Path(store.describe())
    assert [mode_of(place) for place in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]
    for place, mode in ((path, 0o644), (path.parent, 0o755), (path.parent.parent, 0o755)):
        place.chmod(mode)
    assert store.load() == tokens()
    assert "mode 644" in caplog.text
    store.save(tokens())
    # The home folder keeps its mode, because other programs may use it.
    assert [mode_of(place) for place in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o755]


@pytest.mark.parametrize(
    "content", [b"{", b"secret", b'"secret"', b"\xff\xfe", b'{"access_token": "secret"}', b"[" * 100_000]
)
def test_a_broken_file_is_logged_and_kept_until_the_next_sign_in(
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
    store.save(tokens())
    assert store.load() == tokens()


def test_a_failed_save_keeps_the_old_tokens_and_leaves_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    store = FileStore(tmp_path, API)
    store.save(tokens("old"))
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(TokenStoreError, match="No space left on device"):
        store.save(tokens("new"))
    assert store.load() == tokens("old")
    assert files_in(tmp_path) == [Path(store.describe())]


def test_a_home_that_cannot_be_written_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FileStore(tmp_path / "file" / "home", API)
    assert store.load() is None
    for action in (store.check, lambda: store.save(tokens())):
        with pytest.raises(
            TokenStoreError, match=r"can't be kept in [^\n]*\. Make its folder writable, or set KALLYAI_"
        ):
            action()
    FileStore(tmp_path / "new" / "home", API).check()
    assert not (tmp_path / "new").exists()


def test_the_error_names_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    store = FileStore(tmp_path, API)
    Path(store.describe()).mkdir(parents=True)
    for action in (store.load, store.delete, lambda: store.save(tokens())):
        with pytest.raises(TokenStoreError, match="127"):
            action()


@pytest.mark.parametrize("failures", [2, 1000])
def test_saving_is_retried_where_a_file_in_use_cannot_be_replaced(
    failures: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, left = Path.replace, failures

    def in_use(self: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left >= 0:
            raise PermissionError(13, "in use")
        return replace(self, target)

    store = FileStore(tmp_path, API)
    store.save(tokens("old"))
    monkeypatch.setattr(Path, "replace", in_use)
    if os.name == "posix":
        with pytest.raises(TokenStoreError, match="in use"):
            store.save(tokens("new"))
        assert left == failures - 1  # there, it means that the user lacks permission
    monkeypatch.setattr("kallyai_mcp.auth.file_store._POSIX", False)
    monkeypatch.setattr("kallyai_mcp.auth.file_store._PAUSE", 0)
    if failures > 100:
        with pytest.raises(TokenStoreError, match="in use"):
            store.save(tokens("new"))
    else:
        store.save(tokens("new"))
    assert store.load() == tokens("old" if failures > 100 else "new")
