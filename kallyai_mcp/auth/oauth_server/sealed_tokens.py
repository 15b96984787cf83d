"""SealedTokens: encrypts and authenticates data that a client or a browser keeps, so that we need not store it."""

import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from mcp.server.mcpserver import AESGCMRequestStateCodec, InvalidRequestState

Purpose = Literal["client", "consent", "state", "code", "access", "refresh", "apps"]


class SealedTokens:
    """SealedTokens with the first of the secret keys (`Settings.secret_keys`), and opens with any of them.

    Each purpose has its own keys. So a text that was sealed for one purpose, such as the state of a request, which the
    SDK sealed_tokens, can't be opened for another.
    """

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], float] = time.time) -> None:
        self._keys, self._clock = tuple(keys), clock
        self._codecs: dict[Purpose, AESGCMRequestStateCodec] = {}

    def seal(self, purpose: Purpose, content: Mapping[str, Any], *, seconds: float | None = None) -> str:
        """Seal JSON types by name, without the name `exp`; they can be opened for `seconds`, or for ever."""
        end = {} if seconds is None else {"exp": self._clock() + seconds}
        return self._codec(purpose).seal(json.dumps({**content, **end}, separators=(",", ":")).encode())

    def open(self, purpose: Purpose, sealed: str | None, *, even_expired: bool = False) -> dict[str, Any] | None:
        """The content of a sealed text, with its end as `exp` (seconds since the epoch) if it has one.

        None if the text was not sealed here, was changed, was sealed for another purpose, or has expired.
        """
        try:
            content: dict[str, Any] = json.loads(self._codec(purpose).unseal(sealed or ""))
        except InvalidRequestState:
            return None
        return content if even_expired or content.get("exp", float("inf")) > self._clock() else None

    def __repr__(self) -> str:
        return f"SealedTokens({len(self._keys)} keys)"

    def _codec(self, purpose: Purpose) -> AESGCMRequestStateCodec:
        if purpose not in self._codecs:
            name = f"kallyai-mcp {purpose}".encode()
            self._codecs[purpose] = AESGCMRequestStateCodec([hmac.digest(key, name, "sha256") for key in self._keys])
        return self._codecs[purpose]
