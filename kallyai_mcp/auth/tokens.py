"""The tokens of one sign-in."""

import base64
import binascii
import hashlib
import json
import math
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from kallyai_mcp.api.errors import UnreadableResponseError
from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.common_types import is_token

_MAX_WHO_LENGTH = 100
_MAX_LENGTH = 16_384


def _header_safe(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or len(text) > _MAX_LENGTH or not is_token(text):
        raise ValueError("not a token")
    return value


def _absent_when_empty(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return None if text == "" else value


class Tokens(BaseModel):
    """The tokens of one sign-in. They are immutable, and their `repr` and `str` have no part of a token.

    Attributes:
        access_token: The bearer token of each request (the reference's "Authentication").
        refresh_token: The token that renews the access token ("Token Refresh"); None if there is none.
        expires_at: When the access token expires, in seconds since the epoch; infinite if that is not known.
        scope: The granted scopes, separated by spaces; None if the service did not say.
        lineage: A digest that identifies the sign-in, also after renewals. No token can be computed from it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    access_token: Annotated[SecretStr, BeforeValidator(_header_safe)]
    refresh_token: Annotated[SecretStr | None, BeforeValidator(_absent_when_empty)] = None
    expires_at: float = Field(ge=0)
    scope: str | None = None
    lineage: str | None = None

    @classmethod
    def from_grant(cls, grant: TokenGrant, now: float, previous: Self | None = None) -> Self:
        """The tokens of a response.

        Args:
            grant: The response.
            now: When it came, in seconds since the epoch.
            previous: The tokens before a renewal, whose refresh token and scope are kept if the response has none.

        Raises:
            UnreadableResponseError: The access token has characters that are not allowed in a header.
        """
        try:
            return cls(
                access_token=grant.access_token,
                refresh_token=grant.refresh_token or (previous.refresh_token if previous else None),
                expires_at=max(0.0, now + grant.expires_in),
                scope=grant.scope or (previous.scope if previous else None),
                lineage=previous.lineage if previous else _digest("lineage", grant.access_token.get_secret_value()),
            )
        except ValidationError:
            raise UnreadableResponseError(
                "KallyAI answered with something that is not a token. Sign in again."
            ) from None

    @classmethod
    def from_document(cls, document: object) -> Self:
        """The tokens in a document that `as_document` returned.

        Raises:
            ValueError: `document` has no usable tokens. The message quotes no part of it.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            fields = ", ".join(sorted({str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}))
            raise ValueError(f"not usable: {fields}" if fields else "not a sign-in") from None

    def as_document(self) -> dict[str, Any]:
        """The tokens as JSON types, not encrypted, for a token store."""
        return {
            "access_token": self.access_token.get_secret_value(),
            "refresh_token": self.refresh_token.get_secret_value() if self.refresh_token else None,
            "expires_at": self.expires_at,
            "scope": self.scope,
            "lineage": self.lineage,
        }

    def expires_within(self, seconds: float, now: float) -> bool:
        """Whether the access token expires at most `seconds` after `now` (seconds since the epoch)."""
        return self.expires_at <= now + seconds

    @property
    def who(self) -> str | None:
        """The e-mail address in the access token, or else its subject; None if it has neither.

        It is for display only, because the signature of the token is not checked.
        """
        claims = self._claims()
        for name in ("email", "sub"):
            text = str(claims.get(name) or "")
            if text and text.isprintable():
                return text[:_MAX_WHO_LENGTH]
        return None

    @cached_property
    def account(self) -> str:
        """An id of the account: a digest that renewals do not change.

        Two sign-ins to one account have the same id if their tokens are JWTs with a subject. Otherwise the account is
        not known, and each sign-in has its own id.
        """
        claims = self._claims()
        if claims.get("sub"):
            return _digest("account", json.dumps([claims.get("iss"), claims["sub"]]))
        return self.lineage or _digest("lineage", self.access_token.get_secret_value())

    @property
    def claimed_end(self) -> float | None:
        """The end of the access token by its own claim `exp`, in seconds since the epoch; None without a valid one."""
        end = self._claims().get("exp")
        return float(end) if isinstance(end, int | float) and math.isfinite(end) else None

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
