"""The secret keys by which what a client carries for us is known again: request state, and confirmations."""

import logging
import secrets
import time
from collections.abc import Sequence

from mcp.server.mcpserver import RequestStateSecurity
from mcp.server.request_state import AESGCMRequestStateCodec, InvalidRequestState

from kallyai_mcp.api.errors import KallyAIError

_log = logging.getLogger(__name__)

_NAME = "kallyai-mcp:keys"
_BYTES = 32
_PATIENCE = 1.0
"""Seconds that Redis gets."""

_REST = 5.0
"""Seconds for which a Redis that did not answer is not asked again."""


class KeysUnavailableError(KallyAIError):
    """The keys that all workers share can't be had now."""


class Keys:
    """Keys that were given; else, with a Redis, those that all workers share; else a key of this process alone.

    Those in Redis are made by the first who needs them. It is asked without giving way to other requests: once in the
    life of a process, and for a second at most.

    Args:
        redis_url: The Redis that all workers share; None for one process.
        given: Keys of 32 bytes or more.
    """

    def __init__(self, redis_url: str | None = None, given: Sequence[bytes] = ()) -> None:
        self._redis_url = redis_url
        self._keys = tuple(given)
        if not given and redis_url is None:
            self._keys = (secrets.token_bytes(_BYTES),)
        self._rest_until = 0.0

    def __call__(self) -> Sequence[bytes]:
        """The keys, of 32 bytes or more: the first one seals, all open.

        Raises:
            KeysUnavailableError: Redis does not answer.
        """
        if not self._keys:
            self._keys = (self._shared(),)
        return self._keys

    def _shared(self) -> bytes:
        from redis import Redis  # an extra
        from redis.exceptions import RedisError

        assert self._redis_url is not None  # noqa: S101 - there are keys where there is no Redis
        if time.monotonic() >= self._rest_until:
            try:
                with Redis.from_url(
                    self._redis_url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE
                ) as redis:
                    redis.set(_NAME, secrets.token_hex(_BYTES), nx=True)
                    found = redis.get(_NAME)
                if isinstance(found, bytes):
                    return bytes.fromhex(found.decode("ascii"))
            except (RedisError, OSError, ValueError) as error:
                _log.warning("the shared keys can't be had: %s", type(error).__name__)
            self._rest_until = time.monotonic() + _REST
        raise KeysUnavailableError(
            "The keys that all workers share can't be had: Redis does not answer", code="no_keys"
        )


class _Codec:
    """The SDK's own codec, made when the keys are first needed."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._made: AESGCMRequestStateCodec | None = None

    def _codec(self) -> AESGCMRequestStateCodec:
        if self._made is None:
            self._made = AESGCMRequestStateCodec(list(self._keys()))
        return self._made

    def seal(self, payload: bytes) -> str:
        return self._codec().seal(payload)

    def unseal(self, token: str) -> bytes:
        try:
            return self._codec().unseal(token)
        except KeysUnavailableError:
            raise InvalidRequestState("the shared keys can't be had") from None


def request_state_security(keys: Keys) -> RequestStateSecurity:
    """How the server protects the state that its clients carry between the rounds of a call (MCP 2026-07-28)."""
    return RequestStateSecurity(codec=_Codec(keys))
