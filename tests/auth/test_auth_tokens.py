import pytest
from pydantic import ValidationError

from kallyai_mcp.auth.tokens import Tokens
from tests.auth.fakes import NOW, grant, jwt, tokens


def test_an_invalid_token_is_refused_and_not_quoted() -> None:
    for document in (
        None,
        {"access_token": ["secret"], "expires_at": 1},
        *(
            {"access_token": token, "expires_at": 1}
            for token in ("secret words", "secret\nline", "secrét", "")
        ),
        {"access_token": "secret", "expires_at": float("nan")},
        {"access_token": "secret", "expires_at": 1, "refresh_token": {"secret": 1}},
    ):
        with pytest.raises(ValidationError) as caught:
            Tokens.model_validate(document)
        assert "secret" not in str(caught.value)


def test_the_user_is_the_tokens_email_or_subject() -> None:
    for claims, who in (
        ({"email": "user@example.com", "sub": "acct-1"}, "user@example.com"),
        ({"sub": 17}, "17"),
        ({"email": "a\x1b[31m", "sub": "acct-1"}, "acct-1"),
        ({"email": "x" * 500}, "x" * 100),
        ({}, None),
    ):
        assert tokens(jwt(**claims)).who == who
    for opaque in ("opaque", "a.b.c", "a.bm8.c", "a.WzFd.c", "a.!!!.c", "a.gA.c", "a.b"):
        assert tokens(opaque).who is None


def test_an_account_comes_from_claims_or_sign_in() -> None:
    given = [("a", "1"), ("a", "2"), ("b", "1"), (None, "1"), (None, 1)]
    accounts = [tokens(jwt(iss=iss, sub=sub, n=n)).account for iss, sub in given for n in (1, 2)]
    assert accounts[::2] == accounts[1::2]
    assert len(set(accounts)) == 5
    opaque = Tokens.from_grant(grant(access_token="secret-1", refresh_token="secret-2"), NOW)
    renewed = opaque.renewed(grant(access_token="access-2"), NOW)
    other = Tokens.from_grant(grant(access_token="access-3"), NOW)
    assert opaque.account == renewed.account != other.account
    assert not any(word in " ".join([*accounts, opaque.account]) for word in ("acct", "secret"))
    assert "secret" not in f"{opaque!r} {opaque!s}"
