"""Confirmations: with such a token, an agent passes on its user's consent to one call.

It expires after minutes.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.fingerprint import normalized
from kallyai_mcp.calls.records import CallRequest

LIFETIME = timedelta(minutes=10)
"""How long the user may take to agree."""

_PURPOSE = b"kallyai-mcp/confirmation/v1"
_MAC_BYTES = 16


class Confirmations:
    """Issues confirmations and checks them; nothing is stored.

    A confirmation consists of its expiry (seconds since the epoch, in hexadecimal), a period, and a
    MAC. The MAC is made of the expiry and of what the user agrees to (`about`). The ledger stores
    which confirmations were used.

    Of the secret `keys`, of 32 bytes or more, the first one signs, and all verify. All workers need
    the same. Without any, only this process accepts its confirmations; elsewhere, or after a
    restart, the user is asked again.
    """

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = keys or (secrets.token_bytes(32),)

    def issue(self, now: datetime, *about: str) -> str:
        """A new confirmation, valid for `LIFETIME`; `about` are the facts that the user agrees to,
        with the account.
        """
        expires = int((now + LIFETIME).timestamp())
        return f"{expires:x}.{_mac(self._keys[0], expires, about)}"

    def verify(self, confirmation: str, now: datetime, *about: str) -> str | None:
        """The id of `confirmation`, under which the ledger stores its use; None if it is not valid.

        It is valid if it was issued with the same `about`, and has not expired. White space around
        it does not count.
        """
        expiry, _, mac = confirmation.strip().partition(".")
        try:
            expires = int(expiry, 16)
        except ValueError:
            return None
        if not mac.isascii() or now.timestamp() > expires:
            return None
        is_valid = any(hmac.compare_digest(_mac(key, expires, about), mac) for key in self._keys)
        return mac if is_valid else None


def digest(account: str, request: CallRequest | CallList, *, apart_from: frozenset[str]) -> str:
    """A digest (SHA-256, in hexadecimal) of all that a user agrees to, for the confirmation.

    Each field of the request counts, also one that it gets later, `apart_from` those that are
    named. Texts are compared as `normalized`, and times as moments.
    """
    names = [field.name for field in fields(request) if field.name not in apart_from]
    values = {name: _comparable(getattr(request, name)) for name in names}
    return hashlib.sha256(json.dumps([account, values], sort_keys=True).encode()).hexdigest()


def _comparable(value: Any) -> Any:
    """A value of a request as JSON, which is equal for two values that mean the same."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return normalized(value)
        case datetime():
            return value.timestamp()
        case date():
            return value.isoformat()
        case list() | tuple():
            return [_comparable(held) for held in value]
    return {name: _comparable(held) for name, held in _parts(value).items()}


def _parts(value: Any) -> Mapping[str, Any]:
    """The named parts of a value; `TypeError` for one that has none, so that nothing is left out of
    a digest.
    """
    if isinstance(value, Mapping):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_none=True)
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _mac(key: bytes, expires: int, about: tuple[str, ...]) -> str:
    message = json.dumps([expires, *about]).encode()
    own_key = hmac.digest(key, _PURPOSE, "sha256")
    mac = hmac.digest(own_key, message, "sha256")[:_MAC_BYTES]
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")
