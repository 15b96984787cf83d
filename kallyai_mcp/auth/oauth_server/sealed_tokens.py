"""What clients and browsers keep for us: sealed JSON, with a purpose and an end."""

import hmac
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from mcp.server.mcpserver import AESGCMRequestStateCodec, InvalidRequestState

Purpose = Literal["client", "request", "flow", "browser", "code", "access", "refresh"]


class SealedTokens:
    """Encrypts and authenticates JSON types that a client or a browser keeps for us.

    It seals with the first of the secret keys (`Settings.secret_keys`), and opens with any of them.
    What is sealed for one issuer and purpose can't be opened for another.
    """

    def __init__(
        self, keys: Sequence[bytes], issuer: str, clock: Callable[[], float] = time.time
    ) -> None:
        of_issuer = [hmac.digest(key, f"kallyai-mcp {issuer}".encode(), "sha256") for key in keys]
        self._codec = AESGCMRequestStateCodec(of_issuer)
        self._of_newest_key = AESGCMRequestStateCodec(of_issuer[:1])
        self._clock = clock

    def today(self) -> str:
        """The day in UTC, in ISO 8601."""
        return datetime.fromtimestamp(self._clock(), UTC).date().isoformat()

    def seal(self, purpose: Purpose, content: Mapping[str, Any], seconds: float = math.inf) -> str:
        """Seal content that may be opened for `seconds`."""
        return self._codec.seal(json.dumps([purpose, self._clock() + seconds, content]).encode())

    def open(
        self, sealed: str | None, *purposes: Purpose, even_expired: bool = False
    ) -> dict[str, Any] | None:
        """The content; None if it was sealed for none of these purposes, or may not be opened any
        more.
        """
        content: dict[str, Any]
        try:
            purpose, end, content = json.loads(self._codec.unseal(sealed or ""))
        except InvalidRequestState:
            return None
        if purpose not in purposes:
            return None
        has_expired = end <= self._clock()
        if has_expired and not even_expired:
            return None
        return content

    def is_of_newest_key(self, sealed: str) -> bool:
        """Whether a text was sealed with the key that seals now."""
        try:
            self._of_newest_key.unseal(sealed)
        except InvalidRequestState:
            return False
        return True
