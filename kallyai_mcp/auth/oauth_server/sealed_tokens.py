"""SealedTokens: encrypts and authenticates data that a client or a browser keeps, so that we need not store it."""

import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from mcp.server.mcpserver import AESGCMRequestStateCodec, InvalidRequestState

Purpose = Literal["client", "consent", "state", "code", "access", "refresh", "apps"]


class SealedTokens:
    """Seals with the first of the secret keys (`Settings.secret_keys`), and opens with any of them.

    Each purpose has its own keys, so a text that was sealed for one can't be opened for another.
    """

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._codecs = {
            purpose: AESGCMRequestStateCodec(
                [hmac.digest(key, f"kallyai-mcp {purpose}".encode(), "sha256") for key in keys]
            )
            for purpose in get_args(Purpose)
        }

    def seal(self, purpose: Purpose, content: Mapping[str, Any], *, seconds: float | None = None) -> str:
        """Seal JSON types by name, without the name `exp`; they can be opened for `seconds`, or for ever."""
        end = {} if seconds is None else {"exp": self._clock() + seconds}
        return self._codecs[purpose].seal(json.dumps({**content, **end}, separators=(",", ":")).encode())

    def open(self, purpose: Purpose, sealed: str | None, *, even_expired: bool = False) -> dict[str, Any] | None:
        """The content, with its end as `exp` (seconds since the epoch) if it has one; None if it is not valid."""
        try:
            content: dict[str, Any] = json.loads(self._codecs[purpose].unseal(sealed or ""))
        except InvalidRequestState:
            return None
        return content if even_expired or content.get("exp", float("inf")) > self._clock() else None
