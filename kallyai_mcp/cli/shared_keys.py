"""The secret keys that protect data that clients keep for the server: request state and confirmations."""

import logging
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kallyai_mcp.calls.ledger.base import LedgerUnavailableError

if TYPE_CHECKING:
    from mcp.server.request_state import AESGCMRequestStateCodec

    from kallyai_mcp.calls.ledger.shared_values import SharedValues

_log = logging.getLogger(__name__)

_KIND, _NAME = "secret key", "1"
_SECONDS = 100 * 365 * 86_400.0
"""The lifetime of a stored key: practically without end."""


class SharedKeys:
    """The secret keys of this process, of at least 32 bytes each: the first one protects, and all are accepted.

    Without keys of the settings (`given`), it is a random key, until `load` has read the key that all processes share.
    It is also the codec of the state that clients keep between the rounds of a request (MCP 2026-07-28).
    """

    def __init__(self, given: Sequence[bytes] = ()) -> None:
        self._is_given = bool(given)
        self._keys = tuple(given) or (secrets.token_bytes(32),)

    def __call__(self) -> Sequence[bytes]:
        """The keys."""
        return self._keys

    async def load(self, shared_state: "SharedValues") -> None:
        """Use the key that all processes with this ledger share. The first process creates it.

        If the ledger can't be used, this process keeps its own key. Then a confirmation of another process is not
        valid here, and the user is asked again.
        """
        if self._is_given:
            return
        try:
            await shared_state.add(_KIND, _NAME, self._keys[0].hex(), _SECONDS)
            stored = await shared_state.get(_KIND, _NAME)
        except LedgerUnavailableError as error:
            _log.warning("the shared secret key can't be read: %s", error)
            return
        if stored is not None:
            self._keys = (bytes.fromhex(stored),)

    def seal(self, payload: bytes) -> str:
        """Protect state that a client keeps."""
        return self._codec().seal(payload)

    def unseal(self, token: str) -> bytes:
        """The state that a client kept; raises the SDK's `InvalidRequestState`."""
        return self._codec().unseal(token)

    def _codec(self) -> "AESGCMRequestStateCodec":
        from mcp.server.request_state import AESGCMRequestStateCodec

        return AESGCMRequestStateCodec(list(self._keys))
