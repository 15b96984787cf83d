"""The tokens of one sign-in."""

import base64
import binascii
import hashlib
import json
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from kallyai_mcp.api.errors import UnreadableResponseError
from kallyai_mcp.api.models import TokenGrant

_WHO_LIMIT = 100
_FOREIGN_LIMIT = 16_384


def _header_safe(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or not text or len(text) > _FOREIGN_LIMIT or not text.isascii():
        raise ValueError("not a token")
    if not text.isprintable() or " " in text:
        raise ValueError("not a token")
    return value


def _absent_when_empty(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return None if text == "" else value


class Tokens(BaseModel):
    """What a sign-in gave; immutable, and no part of a token shows in its `repr` or `str`.

    Attributes:
        access_token: The bearer token of each request (reference: "Authentication").
        refresh_token: What renews it ("Token Refresh"); None when the sign-in can't be renewed.
        expires_at: When the access token ends, in seconds since the epoch; infinite when that is not known.
        scope: The scopes granted, separated by spaces; None when the service did not say.
        lineage: Names the sign-in itself, through all renewals: a digest that gives nothing away.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    access_token: Annotated[SecretStr, BeforeValidator(_header_safe)]
    refresh_token: Annotated[SecretStr | None, BeforeValidator(_absent_when_empty)] = None
    expires_at: float = Field(ge=0)
    scope: str | None = None
    lineage: str | None = None

    @classmethod
    def from_grant(cls, grant: TokenGrant, now: float, previous: Self | None = None) -> Self:
        """The tokens of `grant`, received at `now` (epoch seconds).

        Args:
            grant: What the service answered. A renewal may leave out the refresh token and the scope.
            now: When it was answered, in epoch seconds.
            previous: The tokens that `grant` renews; what it leaves out is kept from them.

        Raises:
            UnreadableResponseError: The access token has characters that no header can carry.
        """
        kept = previous or None
        try:
            return cls(
                access_token=grant.access_token,
                refresh_token=grant.refresh_token or (kept.refresh_token if kept else None),
                expires_at=max(0.0, now + grant.expires_in),
                scope=grant.scope or (kept.scope if kept else None),
                lineage=kept.lineage if kept else _digest("lineage", grant.access_token.get_secret_value()),
            )
        except ValidationError:
            raise UnreadableResponseError(
                "KallyAI answered with something that is not a token. Sign in again."
            ) from None

    @classmethod
    def from_document(cls, document: object) -> Self:
        """The tokens that `as_document` wrote down.

        Raises:
            ValueError: `document` is something else; the message quotes none of it.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            fields = ", ".join(sorted({str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}))
            raise ValueError(f"not usable: {fields}" if fields else "not a sign-in") from None

    def as_document(self) -> dict[str, Any]:
        """The tokens in the clear, as JSON types, for a store."""
        return {
            "access_token": self.access_token.get_secret_value(),
            "refresh_token": self.refresh_token.get_secret_value() if self.refresh_token else None,
            "expires_at": self.expires_at,
            "scope": self.scope,
            "lineage": self.lineage,
        }

    def expires_within(self, seconds: float, now: float) -> bool:
        """Whether the access token will have ended `seconds` after `now` (epoch seconds)."""
        return self.expires_at <= now + seconds

    @property
    def who(self) -> str | None:
        """The e-mail address, or else the subject, that the access token names; None when it names nobody.

        The token's signature is not checked: this is for display and decides nothing.
        """
        claims = self._claims()
        for name in ("email", "sub"):
            text = str(claims.get(name) or "")
            if text and text.isprintable():
                return text[:_WHO_LIMIT]
        return None

    @property
    def account(self) -> str:
        """An id of the account that stays the same through renewals, and gives nothing away.

        Two sign-ins to one account have the same id when their tokens are JWTs with a subject. Otherwise the service
        gives nothing to recognise an account by, and each sign-in has an id of its own.
        """
        claims = self._claims()
        if claims.get("sub"):
            return _digest("account", json.dumps([claims.get("iss"), claims["sub"]]))
        return self.lineage or _digest("lineage", self.access_token.get_secret_value())

    def _claims(self) -> dict[str, Any]:
        parts = self.access_token.get_secret_value().split(".")
        if len(parts) != 3:
            return {}
        try:
            claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        except (binascii.Error, ValueError, RecursionError):
            return {}
        return claims if isinstance(claims, dict) else {}


def _digest(kind: str, text: str) -> str:
    return hashlib.sha256(f"kallyai-mcp {kind}\n{text}".encode()).hexdigest()[:32]
