import json
import os
from pathlib import Path

import pytest

from kallyai_mcp.auth.file_store import TokenStoreError
from kallyai_mcp.auth.token_store import TokenStore, open_store
from tests.auth.fakes import API, LIVE, NOW, jwt, tokens


def write_vendor(path: Path, **fields: object) -> bytes:
    document = {
        "access_token": jwt(iss="k", sub="acct-1"),
        "refresh_token": "vendor-refresh",
        "expires_at": NOW,
        **fields,
    }
    path.write_text(json.dumps(document))
    return path.read_bytes()


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    return tmp_path / "vendor.json"


@pytest.fixture
def live(tmp_path: Path, vendor: Path) -> TokenStore:
    return open_store("file", tmp_path / "home", LIVE, vendor=vendor)


@pytest.mark.parametrize("refresh_token", [None, "", "vendor-refresh"])
@pytest.mark.parametrize("expires_at", [1_790_000_000, 1_790_000_000.5])
def test_the_vendors_tokens_are_used(
    refresh_token: str | None, expires_at: float, live: TokenStore, vendor: Path
) -> None:
    write_vendor(vendor, refresh_token=refresh_token, expires_at=expires_at)
    got = live.load()
    assert got is not None
    assert (got.expires_at, got.who) == (expires_at, "acct-1")
    assert (got.refresh_token is None) == (not refresh_token)
    assert str(vendor) in live.describe()


def test_the_vendors_file_is_in_the_users_home(tmp_path: Path, vendor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_vendor(vendor.with_name(".kallyai_token.json"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert open_store("file", tmp_path / "home", LIVE).load() is not None


def test_the_vendors_tokens_are_used_for_the_live_api_only(tmp_path: Path, vendor: Path) -> None:
    write_vendor(vendor)
    assert open_store("file", tmp_path / "home", API, vendor=vendor).load() is None


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
    assert live.load() is not None
    live.save(tokens("ours"))
    live.delete()
    assert live.load() is None
    live.delete()
    assert live.load() is None


def test_after_signing_out_renewed_tokens_of_the_vendors_tools_are_not_used(live: TokenStore, vendor: Path) -> None:
    write_vendor(vendor)
    live.delete()
    write_vendor(vendor, access_token=jwt(iss="k", sub="acct-1", n=2), refresh_token="vendor-refresh-2")
    assert live.load() is None


def test_after_signing_out_another_account_in_the_vendors_file_can_be_used_and_signed_out(
    live: TokenStore, vendor: Path
) -> None:
    write_vendor(vendor)
    live.delete()
    write_vendor(vendor, access_token=jwt(iss="k", sub="acct-2"))
    assert live.load() is not None
    live.delete()
    assert live.load() is None
    write_vendor(vendor)
    assert live.load() is None


def test_signing_out_fails_if_it_cannot_be_recorded(live: TokenStore, vendor: Path, tmp_path: Path) -> None:
    write_vendor(vendor)
    (tmp_path / "home").write_text("a file where the folder should be")
    with pytest.raises(TokenStoreError, match="can't be"):
        live.delete()


def test_signing_out_fails_if_it_is_recorded_only_in_part(
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


def test_without_the_vendors_file_no_user_is_signed_in(live: TokenStore) -> None:
    assert live.load() is None


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"access_token": "secret", "expires_at": "soon"}'])
def test_a_broken_file_of_the_vendor_is_logged_and_kept(
    content: bytes, live: TokenStore, vendor: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.write_bytes(content)
    assert live.load() is None
    assert vendor.read_bytes() == content
    assert str(vendor) in caplog.text
    assert "secret" not in caplog.text


def test_with_a_folder_in_place_of_the_vendors_file_no_user_is_signed_in(live: TokenStore, vendor: Path) -> None:
    vendor.mkdir()
    assert live.load() is None
