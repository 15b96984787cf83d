"""Sealing: encrypts and authenticates data that a client or a browser keeps, so that we need not store it.

A sealed text is a Fernet token (https://github.com/fernet/spec) without its padding. Each purpose has its own keys,
derived with HKDF (RFC 5869). So a text that was sealed for one purpose can't be opened for another.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Purpose = Literal["client", "client-secret", "consent", "state", "code", "access", "refresh", "sign-out", "apps"]

_MAX_SEALED_LENGTH = 16_384
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")
_EXPIRES_AT = "exp"


class SealedTokens:
    """Seals with the first key, and opens with any key.

    Args:
        keys: At least one secret key (`Settings.secret_keys`).
        clock: Returns seconds since the epoch.
    """

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], float]) -> None:
        self._keys = tuple(keys)
        self._clock = clock
        self._ciphers: dict[Purpose, MultiFernet] = {}

    def seal(self, purpose: Purpose, content: Mapping[str, Any], *, seconds: float | None = None) -> str:
        """Seal `content`.

        Args:
            purpose: What the text is for.
            content: JSON types by name, without the name `exp`.
            seconds: How long the text can be opened; None for ever.

        Returns:
            A text of letters, digits, `-`, and `_`, which needs no quoting in a URL, a header, or a cookie.
        """
        whole = dict(content)
        if seconds is not None:
            whole[_EXPIRES_AT] = self._clock() + seconds
        text = json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        return self._cipher(purpose).encrypt(text).decode("ascii").rstrip("=")

    def open(self, purpose: Purpose, sealed: str | None, *, even_expired: bool = False) -> dict[str, Any] | None:
        """The content of a sealed text, with its end as `exp` (seconds since the epoch) if it has one.

        None if the text was not sealed here, was changed, was sealed for another purpose, or has expired.
        """
        if not sealed or len(sealed) > _MAX_SEALED_LENGTH or not _ALPHABET.fullmatch(sealed):
            return None
        padded = sealed + "=" * (-len(sealed) % 4)
        try:
            # The last character of base64 has unused bits, so several texts decode to the same bytes. One is ours.
            if base64.urlsafe_b64encode(base64.urlsafe_b64decode(padded)).decode("ascii") != padded:
                return None
            text = self._cipher(purpose).decrypt(padded.encode("ascii"))
        except (InvalidToken, binascii.Error):
            return None
        content: dict[str, Any] = json.loads(text.decode("utf-8", "surrogatepass"))
        return content if even_expired or content.get(_EXPIRES_AT, float("inf")) > self._clock() else None

    def __repr__(self) -> str:
        """The number of keys, without the keys."""
        return f"SealedTokens({len(self._keys)} keys)"

    def _cipher(self, purpose: Purpose) -> MultiFernet:
        if purpose not in self._ciphers:
            info = f"kallyai-mcp {purpose}".encode()
            derived = [HKDF(SHA256(), 32, None, info).derive(key) for key in self._keys]
            self._ciphers[purpose] = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])
        return self._ciphers[purpose]
