"""Confirmations: a user's yes in the hands of an agent, good for one very call and a few minutes."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

LIFETIME = timedelta(minutes=10)
"""How long a user may take to say yes."""

_PURPOSE = b"kallyai-mcp/confirmation/v1"
_MAC_BYTES = 16


class Confirmations:
    """Gives them out and knows them again; nothing is kept.

    Args:
        keys: Gives the secret keys, of 32 bytes or more, that all workers share: the first one seals, all open.
    """

    def __init__(self, keys: Callable[[], Sequence[bytes]]) -> None:
        self._keys = keys

    def give(self, now: datetime, *about: str) -> str:
        """A confirmation of `about` (whose call it is, and which), to be handed in within `LIFETIME`."""
        expires = int((now + LIFETIME).timestamp())
        return f"{expires:x}.{_sealed(self._keys()[0], expires, about)}"

    def fits(self, confirmation: str, now: datetime, *about: str) -> bool:
        """Whether `confirmation` was given for just that, and not too long ago."""
        moment, _, seal = confirmation.strip().partition(".")
        try:
            expires = int(moment, 16)
        except ValueError:
            return False
        if not seal.isascii() or now.timestamp() > expires:
            return False
        return any(hmac.compare_digest(_sealed(key, expires, about), seal) for key in self._keys())


def _sealed(key: bytes, expires: int, about: tuple[str, ...]) -> str:
    message = json.dumps([expires, *about]).encode()
    own_key = hmac.digest(key, _PURPOSE, hashlib.sha256)
    mac = hmac.digest(own_key, message, hashlib.sha256)[:_MAC_BYTES]
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")
