import json

import pytest
from pydantic import SecretStr

from kallyai_mcp.api.errors import UnreadableResponseError
from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.auth.tokens import Tokens
from tests.auth.fakes import NOW, jwt, tokens


def grant(**fields: object) -> TokenGrant:
    return TokenGrant.model_validate({"access_token": "access-1", **fields})


def test_tokens_expire_after_the_seconds_of_the_grant() -> None:
    got = Tokens.from_grant(grant(expires_in=90), NOW)
    assert got.expires_at == NOW + 90
    assert not got.expires_within(89, NOW)
    assert got.expires_within(90, NOW)


def test_without_a_lifetime_tokens_expire_after_an_hour() -> None:
    assert Tokens.from_grant(grant(), NOW).expires_at == NOW + 3600


def test_a_renewal_without_refresh_token_and_scope_keeps_the_old_ones() -> None:
    first = Tokens.from_grant(grant(refresh_token="refresh-1", scope="calls:read"), NOW)
    second = Tokens.from_grant(grant(access_token="access-2"), NOW + 3600, first)
    assert second.refresh_token == SecretStr("refresh-1")
    assert second.scope == "calls:read"


def test_a_renewal_with_a_refresh_token_replaces_the_old_one() -> None:
    first = Tokens.from_grant(grant(refresh_token="refresh-1"), NOW)
    assert Tokens.from_grant(grant(refresh_token="refresh-2"), NOW, first).refresh_token == SecretStr("refresh-2")


@pytest.mark.parametrize("access_token", ["two words", "line\nbreak", "tokén", "x" * 20_000])
def test_a_token_with_characters_that_a_header_cannot_have_is_refused(access_token: str) -> None:
    with pytest.raises(UnreadableResponseError) as caught:
        Tokens.from_grant(grant(access_token=access_token), NOW)
    assert access_token not in str(caught.value)


def test_neither_repr_nor_str_shows_a_token() -> None:
    got = Tokens.from_grant(grant(access_token="secret-a", refresh_token="secret-r"), NOW)
    for text in (repr(got), str(got), f"{got}"):
        assert "secret" not in text


def test_tokens_from_their_document_are_equal() -> None:
    before = Tokens.from_grant(grant(refresh_token="refresh-1", scope="calls:read"), NOW)
    assert Tokens.from_document(json.loads(json.dumps(before.as_document()))) == before


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "secret",
        {},
        {"access_token": "secret"},
        {"access_token": ["secret"], "expires_at": 1},
        {"access_token": "", "expires_at": 1},
        {"access_token": "secret", "expires_at": "soon"},
        {"access_token": "secret", "expires_at": float("nan")},
        {"access_token": "secret", "expires_at": -1},
        {"access_token": "secret", "expires_at": 1, "refresh_token": {"secret": 1}},
    ],
)
def test_an_invalid_document_is_refused_without_being_quoted(document: object) -> None:
    with pytest.raises(ValueError, match=r"^not (usable|a sign-in)") as caught:
        Tokens.from_document(document)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("claims", "who"),
    [
        ({"email": "user@example.com", "sub": "acct-1"}, "user@example.com"),
        ({"sub": "acct-1"}, "acct-1"),
        ({"sub": 17}, "17"),
        ({"email": "a\x1b[31m", "sub": "acct-1"}, "acct-1"),
        ({"email": "x" * 500}, "x" * 100),
        ({}, None),
    ],
)
def test_who_is_the_email_or_the_subject_of_the_token(claims: dict[str, object], who: str | None) -> None:
    assert tokens(jwt(**claims)).who == who


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "a.bm8.c", "a.WzFd.c", "a.!!!.c", "a.gA.c", "a.b"])
def test_an_opaque_token_names_no_user(token: str) -> None:
    assert tokens(token).who is None


def test_two_sign_ins_to_one_account_are_the_same_account() -> None:
    first, second = (
        Tokens.from_grant(grant(access_token=jwt(iss="https://k", sub="acct-1", n=n)), NOW) for n in (1, 2)
    )
    assert first.account == second.account


def test_another_subject_or_issuer_is_another_account() -> None:
    accounts = {
        tokens(jwt(iss=iss, sub=sub)).account
        for iss, sub in [("a", "1"), ("a", "2"), ("b", "1"), (None, "1"), (None, 1)]
    }
    assert len(accounts) == 5


def test_the_account_of_an_opaque_token_is_the_same_after_a_renewal() -> None:
    first = Tokens.from_grant(grant(refresh_token="refresh-1"), NOW)
    second = Tokens.from_grant(grant(access_token="access-2"), NOW, first)
    other = Tokens.from_grant(grant(access_token="access-3"), NOW)
    assert first.account == second.account
    assert other.account != first.account
    assert tokens("access-1").account == tokens("access-1").account


def test_an_account_id_does_not_contain_the_account_or_the_token() -> None:
    account = Tokens.from_grant(grant(access_token=jwt(iss="https://k", sub="acct-1")), NOW).account
    assert "acct" not in account
    assert "access" not in Tokens.from_grant(grant(), NOW).account
