"""One HTTP/1.1 connection of the API client, with h11 for the protocol."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import cast

import h11
import httpx
from typing_extensions import override

_IDLE_SECONDS = 5.0
"""How long an idle connection is kept. After a longer time, the server may just be closing it."""

_MAX_HEAD = 64 * 1024
"""The most bytes of a response's status line and headers."""


class Connection(asyncio.Protocol):
    """A connection for one request after another.

    Args:
        opened: The set of open connections, which has this one as long as it is open.

    Attributes:
        is_written: Whether a request was written whose response was not read to its end.
        has_answer: Whether something was received since the request.
    """

    _transport: asyncio.Transport

    def __init__(self, opened: "set[Connection]") -> None:
        self._opened = opened
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        self._waiting: asyncio.Future[None] | None = None
        """Done when something was received, or the connection was closed; None when nothing waits for that."""
        self._error: Exception | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._is_closed = asyncio.get_running_loop().create_future()
        self.is_written = False
        self.has_answer = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._opened.add(self)

    @override
    def data_received(self, data: bytes) -> None:
        if self._idle_timer is not None:  # there is no request
            self.abort()
            return
        self.has_answer = True
        self._http.receive_data(data)
        self._wake()

    @override
    def eof_received(self) -> None:
        if self._idle_timer is None and self._http.their_state is not h11.SWITCHED_PROTOCOL:
            self._http.receive_data(b"")
            self._wake()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._opened.discard(self)
        self._stop_idle_timer()
        self._error = self._error or exc or ConnectionResetError("the connection is closed")
        self._wake()
        if not self._is_closed.done():
            self._is_closed.set_result(None)

    def take(self) -> bool:
        """Use an idle connection again; returns whether a request can be written."""
        self._stop_idle_timer()
        return not self._transport.is_closing()

    def encoded(self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
        """The bytes of a request.

        Raises:
            httpx.LocalProtocolError: It is not valid HTTP.
        """
        try:
            head = self._http.send(h11.Request(method=method, target=target, headers=headers))
            content = self._http.send(h11.Data(data=body)) if body else b""
            end = self._http.send(h11.EndOfMessage())
        except h11.LocalProtocolError:
            raise httpx.LocalProtocolError("the request is not valid HTTP") from None  # its text may quote a token
        return b"".join((head or b"", content or b"", end or b""))

    def write(self, data: bytes) -> None:
        """Write what `encoded` has returned."""
        self.is_written, self.has_answer = True, False
        self._transport.write(data)

    async def response(self, read: float | None) -> h11.Response:
        """The status line and the headers of the response.

        Args:
            read: The time-out in seconds for each part of it; None for no time-out.

        Raises:
            httpx.TransportError: They are not complete.
        """
        while not isinstance(event := await self._event(read), h11.Response):
            pass  # an interim response, such as 103
        return event

    async def data(self, read: float | None) -> AsyncIterator[bytes]:
        """The body of the response, part by part.

        Args:
            read: The time-out in seconds for each part of it; None for no time-out.

        Raises:
            httpx.TransportError: It is not complete.
        """
        while isinstance(event := await self._event(read), h11.Data):
            yield bytes(event.data)

    def next_cycle(self) -> bool:
        """Make this connection idle, for the next request; returns False if there can't be one."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        if self._transport.is_closing() or self._http.trailing_data[0]:
            return False
        self._http.start_next_cycle()
        self.is_written = False
        self._idle_timer = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self.close)
        return True

    async def connect_through(self, url: httpx.URL, proxy: httpx.URL) -> None:
        """Let the proxy at the other end connect to the host of `url` (RFC 9110, section 9.3.6).

        Raises:
            httpx.TransportError: The proxy refused.
        """
        host = f"[{url.host}]" if ":" in url.host else url.host
        target = f"{host}:{url.port or 443}".encode("ascii")
        headers = [(b"Host", target)]
        if proxy.username or proxy.password:
            login = b64encode(f"{proxy.username}:{proxy.password}".encode())
            headers.append((b"Proxy-Authorization", b"Basic " + login))
        self.write(self.encoded(b"CONNECT", target, headers))
        if not 200 <= (await self.response(None)).status_code < 300:
            raise httpx.ProxyError("the proxy refused")

    async def start_tls(self, tls: ssl.SSLContext, host: str) -> None:
        """Start TLS on this connection. Its HTTP state begins anew; `host` is the host in the server's certificate."""
        loop = asyncio.get_running_loop()
        try:
            started = await loop.start_tls(self._transport, self, tls, server_hostname=host)
        except BaseException:
            self.connection_lost(None)  # asyncio calls it only for the TLS layer, which was not finished
            raise
        if started is None:
            raise ConnectionResetError("the connection was closed during the handshake")
        self._transport = started
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)

    def close(self) -> None:
        """Close the connection, after what was written is sent."""
        self._stop_idle_timer()
        self._transport.close()

    def abort(self) -> "asyncio.Future[None]":
        """Close the connection at once, without sending the rest; returns a future that is done when it is closed."""
        self._stop_idle_timer()
        self._transport.abort()
        return self._is_closed

    async def _event(self, read: float | None) -> h11.Event:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                if not self.has_answer:
                    raise httpx.ReadError("closed without a response") from error
                raise httpx.RemoteProtocolError("no complete response") from error
            if isinstance(event, h11.Event):
                return event
            if event is h11.PAUSED:
                raise httpx.RemoteProtocolError("no HTTP response")
            await self._wait(read)

    async def _wait(self, seconds: float | None) -> None:
        """Wait until something was received.

        Raises:
            httpx.ReadTimeout: Nothing was received within `seconds`.
            httpx.ReadError: The connection was lost.
        """
        if self._error is not None:
            raise httpx.ReadError("the connection broke") from self._error
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        timer = loop.call_later(seconds, self._time_out) if seconds is not None else None
        try:
            await self._waiting
        finally:
            self._waiting = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _time_out(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(httpx.ReadTimeout("no response in time"))

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
