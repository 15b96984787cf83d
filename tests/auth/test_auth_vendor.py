import json
import os
from pathlib import Path

import pytest

from kallyai_mcp.auth.file_store import TokenStoreError
from kallyai_mcp.auth.token_store import TokenStore, open_store
from tests.auth.fakes import API, LIVE, NOW, jwt, tokens


def write_vendor(path: Path, **fields: object) -> bytes:
    known = {"access_token": jwt(iss="k", sub="acct-1"), "refresh_token": "vendor-refresh", "expires_at": NOW}
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
    return open_store("file", vendor.parent / "home", LIVE)


@pytest.mark.parametrize("refresh_token", [None, "", "vendor-refresh"])
@pytest.mark.parametrize("expires_at", [1_790_000_000, 1_790_000_000.5])
def test_the_vendors_tokens_are_used_for_the_live_api_only(
    refresh_token: str | None, expires_at: float, live: TokenStore, vendor: Path
) -> None:
    assert live.load() is None
    write_vendor(vendor, refresh_token=refresh_token, expires_at=expires_at)
    got = live.load()
    assert got is not None
    assert (got.expires_at, got.who) == (expires_at, "acct-1")
    assert (got.refresh_token is None) == (not refresh_token)
    assert str(vendor) in live.describe()
    assert open_store("file", vendor.parent / "home", API).load() is None


def test_the_vendors_file_is_never_written_and_our_own_tokens_go_first(live: TokenStore, vendor: Path) -> None:
    before = write_vendor(vendor)
    live.save(tokens("ours"))
    assert live.load() == tokens("ours")
    assert str(vendor) not in live.describe()
    live.delete()
    assert vendor.read_bytes() == before


@pytest.mark.parametrize("opaque", [False, True])
def test_after_signing_out_the_vendors_tokens_are_not_used(opaque: bool, live: TokenStore, vendor: Path) -> None:
    write_vendor(vendor, **({"access_token": "vendor-access"} if opaque else {}))
    live.save(tokens("ours"))
    for _ in range(2):
        live.delete()
        assert live.load() is None


def test_after_signing_out_only_another_account_in_the_vendors_file_is_used(live: TokenStore, vendor: Path) -> None:
    write_vendor(vendor)
    live.delete()
    write_vendor(vendor, access_token=jwt(iss="k", sub="acct-1", n=2), refresh_token="vendor-refresh-2")  # renewed
    assert live.load() is None
    write_vendor(vendor, access_token=jwt(iss="k", sub="acct-2"))
    assert live.load() is not None
    live.delete()
    assert live.load() is None
    write_vendor(vendor)
    assert live.load() is None


def test_signing_out_fails_if_it_cannot_be_recorded_in_full(
    live: TokenStore, vendor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    write_vendor(vendor)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(TokenStoreError, match="No space left on device"):
            live.delete()
    live.delete()
    assert live.load() is None


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"access_token": "secret", "expires_at": "soon"}', None])
def test_a_broken_file_of_the_vendor_is_logged_and_kept(
    content: bytes | None, live: TokenStore, vendor: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if content is None:
        vendor.mkdir()
    else:
        vendor.write_bytes(content)
    assert live.load() is None
    assert content is None or vendor.read_bytes() == content
    assert str(vendor) in caplog.text
    assert "secret" not in caplog.text
