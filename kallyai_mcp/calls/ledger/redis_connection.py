"""One Lua script on one Redis: bounded in time, tried again when a connection breaks, and discreet about passwords."""

from typing import Any
from urllib.parse import quote, urlsplit

from kallyai_mcp.calls.ledger.base import LedgerUnavailableError

_CONNECT = 2.0
"""Seconds within which Redis must take a connection."""

_CONNECTIONS = 16
"""The most connections of one process; whoever comes then waits for one of them."""

_EXPECTED = (
    "The address of Redis must be redis://[user:password@]host[:port][/database], the same with rediss:// (TLS), or "
    "unix://[user:password@]/path[?db=database]; in a user name or password / ? # @ [ ] are written %2F and so on"
)


class RedisConnection:
    """A script, and the connections on which it runs; none is opened before the first run.

    The package `redis` is imported when an object is made: it takes longer than all else a server does before its
    first answer.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user and password where Redis wants them.
        script: Lua.
        patience: Seconds within which Redis must answer.

    Attributes:
        place: The URL as it may be shown: without user, password and options.
        errors: What `run` raises.
        refusal: That of them which says that the script has not run to its end: Redis answered, but with an error.

    Raises:
        ValueError: The URL can't be used; the message does not quote it.
        LedgerUnavailableError: The package `redis` is not installed.
    """

    def __init__(self, url: str, script: str, *, patience: float) -> None:
        try:
            from redis import exceptions
            from redis.asyncio import BlockingConnectionPool, Redis
            from redis.asyncio.connection import parse_url
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError:
            raise LedgerUnavailableError("The ledger in Redis needs the extra `redis`: kallyai-mcp[redis]") from None
        self.errors: tuple[type[Exception], ...] = (exceptions.RedisError, OSError)
        self.refusal: type[Exception] = exceptions.ResponseError
        self._broken: type[Exception] = exceptions.ConnectionError
        ours = {
            "decode_responses": True,
            "encoding_errors": "surrogatepass",  # an agent may ask for any id
            "max_connections": _CONNECTIONS,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": min(_CONNECT, patience),
            "socket_timeout": patience,
            "timeout": patience,
        }
        options: dict[str, Any] | None
        try:
            options = {**parse_url(url)}
            pool = BlockingConnectionPool(**options | ours)
            pool.connection_class(**pool.connection_kwargs)  # complains of options that there are not
            is_clear = _is_clear(url)
        except (ValueError, TypeError, exceptions.RedisError):
            options = None
        if options is None or not is_clear:
            raise ValueError(_EXPECTED)  # outside the handler: what was caught may quote a password
        passwords = {str(value) for name, value in options.items() if "password" in name and value}
        spelled = passwords | {quote(password, safe="") for password in passwords}
        self.place = _shown(url)
        self._secrets = sorted(spelled, key=len, reverse=True)
        self._pool = pool
        self._script = Redis(connection_pool=pool).register_script(script)
        self._known: list[tuple[type[Exception], str]] = [
            (exceptions.AuthenticationError, "it refuses the user name or password"),
            (exceptions.NoPermissionError, "the user may not do that there"),
            (exceptions.BusyLoadingError, "it is still loading its data"),
            (exceptions.ReadOnlyError, "it is a replica that can only be read"),
            (exceptions.OutOfMemoryError, "it is out of memory"),
            (exceptions.TimeoutError, "it did not answer in time"),
            (TimeoutError, "it did not answer in time"),
        ]

    async def run(self, key: str, *arguments: str) -> Any:
        """Run the script; once more if the connection breaks, so a script asked twice must do its work once.

        It may be cancelled by asyncio, but not by a scope of anyio: that cancels at every await, and redis-py would not
        get to give its connection back.
        """
        try:
            return await self._script(keys=[key], args=arguments)
        except self._broken:
            return await self._script(keys=[key], args=arguments)

    def words(self, error: Exception) -> str:
        """Why Redis can't be used: one line without a password."""
        words = next((words for kind, words in self._known if isinstance(error, kind)), str(error))
        for secret in self._secrets:
            words = words.replace(secret, "[password]")
        return words

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.disconnect()


def _is_clear(url: str) -> bool:
    """Whether no part of a password in `url` can have been taken for something else, as a `/` in it makes it be."""
    parts = urlsplit(url)
    database = parts.path.strip("/")
    return (
        "@" not in parts.path + parts.query
        and not parts.fragment
        and (parts.scheme == "unix" or not database or database.isdecimal())
    )


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
