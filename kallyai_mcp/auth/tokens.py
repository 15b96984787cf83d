"""The tokens of one sign-in."""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.api.values import Token, object_in

SIGN_IN_CLAIM: Final = "sign_in"
"""The claim of a verified bearer token that has the id of its sign-in."""

REVOKED_SIGN_IN: Final = "oauth_revoked"
"""The kind of the shared values (`ledger.shared_values`) whose names are the ids of revoked
sign-ins.
"""

_MAX_WHO_LENGTH = 100


class Tokens(BaseModel):
    """The tokens of one sign-in.

    They are immutable; their `repr` and `str`, and errors, have no part of a token.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    access_token: Token
    refresh_token: Annotated[SecretStr | None, AfterValidator(lambda token: token or None)] = None
    expires_at: float = Field(ge=0)
    """When the access token expires, in seconds since the epoch; infinite if that is not known."""
    lineage: str | None = None
    """After a renewal, the `account` of the tokens before. No token can be computed from it."""

    @classmethod
    def from_grant(cls, grant: TokenGrant, now: float) -> Self:
        """The tokens of a response that came at `now` (seconds since the epoch)."""
        return cls(
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            expires_at=max(0.0, now + grant.expires_in),
        )

    def renewed(self, grant: TokenGrant, now: float) -> Self:
        """The tokens after a renewal, whose response came at `now` (seconds since the epoch).

        They keep the refresh token if the response has none.
        """
        new = self.from_grant(grant, now)
        refresh_token = new.refresh_token or self.refresh_token
        return new.model_copy(update={"refresh_token": refresh_token, "lineage": self.account})

    @classmethod
    def of(cls, access_token: str, lineage: str | None = None) -> Self:
        """The tokens of a sign-in with only an access token."""
        return cls.model_validate(
            {"access_token": access_token, "expires_at": math.inf, "lineage": lineage}
        )

    def as_document(self) -> dict[str, Any]:
        """The tokens as JSON types, not encrypted, for a token store; `model_validate` reads
        them.
        """
        refresh_token = self.refresh_token.get_secret_value() if self.refresh_token else None
        tokens = {
            "access_token": self.access_token.get_secret_value(),
            "refresh_token": refresh_token,
        }
        return tokens | self.model_dump(include={"expires_at", "lineage"})

    def expires_within(self, seconds: float, now: float) -> bool:
        """Whether the access token expires at most `seconds` after `now` (seconds since the
        epoch).
        """
        return self.expires_at <= now + seconds

    @property
    def who(self) -> str | None:
        """The e-mail address in the access token, or else its subject; None if it has neither.

        It is for display only, because the signature of the token is not checked.
        """
        for name in ("email", "sub"):
            text = str(self._claims.get(name) or "")
            if text and text.isprintable():
                return text[:_MAX_WHO_LENGTH]
        return None

    @cached_property
    def account(self) -> str:
        """An id of the account: a digest that renewals do not change.

        Two sign-ins to one account have the same id if their tokens are JWTs with a subject.
        Otherwise the account is not known, and each sign-in has its own id.
        """
        if self._claims.get("sub"):
            return account_of(self._claims.get("iss"), self._claims["sub"])
        # The refresh token lasts longer than the access token, for example in the vendor's file.
        return self.lineage or _digest(
            "lineage", (self.refresh_token or self.access_token).get_secret_value()
        )

    @cached_property
    def _claims(self) -> Mapping[str, Any]:
        """The claims of a token that is a JWT; none of any other."""
        try:
            _, claims, _ = self.access_token.get_secret_value().split(".")
            padding = "=" * (-len(claims) % 4)
            return object_in(json.loads(base64.urlsafe_b64decode(claims + padding)))
        except (binascii.Error, ValueError, RecursionError):
            return {}


def account_of(issuer: object, subject: object) -> str:
    """The id of an account (`Tokens.account`), by these claims of its tokens."""
    return _digest("account", json.dumps([issuer, subject]))


def _digest(kind: str, text: str) -> str:
    return hashlib.sha256(f"kallyai-mcp {kind}\n{text}".encode()).hexdigest()[:32]
