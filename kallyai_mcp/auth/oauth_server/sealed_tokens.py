"""Sealing: what would be stored elsewhere is given away encrypted and authenticated, to be opened when it comes back.

A seal is a Fernet token (https://github.com/fernet/spec) without its padding. Each purpose has keys of its own, derived
with HKDF (RFC 5869), so that a seal of one kind never opens as another.
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

Purpose = Literal["client", "client-secret", "consent", "state", "code", "access", "refresh", "sign-out", "allowed"]

SHORTEST_KEY = 32
"""Bytes that a secret key has at least."""

_LONGEST_SEAL = 16_384
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")
_ENDS = "exp"


class SealedTokens:
    """Seals with the first key, opens with any.

    Args:
        keys: Secret keys, each of at least `SHORTEST_KEY` bytes.
        clock: Seconds since the epoch.

    Raises:
        ValueError: There is no key, or one is too short.
    """

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], float]) -> None:
        if not keys or any(len(key) < SHORTEST_KEY for key in keys):
            raise ValueError(f"each key must have at least {SHORTEST_KEY} bytes")
        self._keys = tuple(keys)
        self._clock = clock
        self._boxes: dict[Purpose, MultiFernet] = {}

    def seal(self, purpose: Purpose, content: Mapping[str, Any], *, seconds: float | None = None) -> str:
        """Seal `content`.

        Args:
            purpose: What it is for; it opens for nothing else.
            content: JSON types by name.
            seconds: After how long it no longer opens; None for never.

        Returns:
            Letters, digits, `-` and `_`, so that it can stand in a URL, a header or a cookie as it is.
        """
        whole = dict(content)
        if seconds is not None:
            whole[_ENDS] = self._clock() + seconds
        text = json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        return self._box(purpose).encrypt(text).decode("ascii").rstrip("=")

    def open(self, purpose: Purpose, sealed: str | None, *, even_expired: bool = False) -> dict[str, Any] | None:
        """What was sealed; None when it is not ours, was changed, was sealed for something else, or has expired."""
        if not sealed or len(sealed) > _LONGEST_SEAL or not _ALPHABET.fullmatch(sealed):
            return None
        padded = sealed + "=" * (-len(sealed) % 4)
        try:
            # The last letter of base64 has bits that say nothing: of all that decode alike, only one is the seal.
            if base64.urlsafe_b64encode(base64.urlsafe_b64decode(padded)).decode("ascii") != padded:
                return None
            text = self._box(purpose).decrypt(padded.encode("ascii"))
        except (InvalidToken, binascii.Error):
            return None
        content: dict[str, Any] = json.loads(text.decode("utf-8", "surrogatepass"))
        return content if even_expired or content.get(_ENDS, float("inf")) > self._clock() else None

    def __repr__(self) -> str:
        """Without the keys."""
        return f"Seals({len(self._keys)} keys)"

    def _box(self, purpose: Purpose) -> MultiFernet:
        if purpose not in self._boxes:
            info = f"kallyai-mcp {purpose}".encode()
            derived = [HKDF(SHA256(), 32, None, info).derive(key) for key in self._keys]
            self._boxes[purpose] = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])
        return self._boxes[purpose]


def keys_from(text: str) -> tuple[bytes, ...]:
    """The keys of `KALLYAI_SECRET_KEYS`: hexadecimal, with commas between them.

    Raises:
        ValueError: One of them can't be used; the message is one line and quotes none of it.
    """
    keys: list[bytes] = []
    for place, part in enumerate((piece.strip() for piece in text.split(",")), start=1):
        try:
            key = bytes.fromhex(part)
        except ValueError:
            raise ValueError(f"key {place} is not hexadecimal; `openssl rand -hex 32` makes one") from None
        if len(key) < SHORTEST_KEY:
            raise ValueError(f"key {place} is shorter than {SHORTEST_KEY} bytes; `openssl rand -hex 32` makes one")
        if len(set(key)) < 8:  # a placeholder such as 000…0 seals nothing
            raise ValueError(f"key {place} is not random; `openssl rand -hex 32` makes one")
        keys.append(key)
    return tuple(keys)
