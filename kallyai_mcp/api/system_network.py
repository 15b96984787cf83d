"""Connections as this machine's settings want them: its certificates, its proxy, and the options of a socket."""

import socket
import ssl
from collections.abc import Callable, Iterator
from urllib.request import getproxies, proxy_bypass

import httpx2

from kallyai_mcp.urls import is_loopback


def connector(base_url: httpx2.URL) -> Callable[[], httpx2.AsyncBaseTransport]:
    """A function that makes an HTTP/1.1 transport to `base_url`, through the proxy of the environment or the system.

    The certificates are those of the system, where a company that inspects traffic puts its own, or those of
    SSL_CERT_FILE or SSL_CERT_DIR.

    Raises:
        ValueError: The environment has a proxy of an unsupported kind, or certificates that can't be read.
    """
    try:
        # For http, an empty context avoids loading all certificates.
        is_http = base_url.scheme == "http"
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_http else httpx2.create_ssl_context()
    except OSError:
        raise ValueError("SSL_CERT_FILE or SSL_CERT_DIR in the environment names nothing that can be read") from None
    address = proxy_address(base_url)
    proxy = _proxy(address, tls) if address else None
    return lambda: httpx2.AsyncHTTPTransport(verify=tls, proxy=proxy)


def proxy_address(base_url: httpx2.URL) -> str | None:
    """The address of the proxy for `base_url`, from the environment or the system; None for a direct connection."""
    if base_url.scheme != "https" or is_loopback(base_url.host) or proxy_bypass(base_url.host):
        return None
    proxies = getproxies()
    return proxies.get("https") or proxies.get("all")


def _proxy(address: str, tls: ssl.SSLContext) -> httpx2.Proxy:
    try:
        url = httpx2.URL(address if "://" in address else f"http://{address}")
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        what = unsupported_proxy() or "the proxy in the environment"
        raise ValueError(f"{what} can't be used; it must be an http or https proxy")
    return httpx2.Proxy(url, ssl_context=tls if url.scheme == "https" else None)


def unsupported_proxy() -> str | None:
    """The kind of the system's proxy, in words, if it can't be used: a SOCKS proxy. Else None."""
    proxies = getproxies()
    has_socks = "socks" in proxies or any(address.startswith("socks") for address in proxies.values())
    return "a SOCKS proxy" if has_socks else None


def socket_options() -> Iterator[tuple[int, int, int]]:
    """Options for TCP keep-alive every minute, because many routers drop a connection that is silent during a call.

    On Linux, also the option that ends a connection on which nothing is confirmed for a minute. Without it, the system
    repeats a lost request for a quarter of an hour, so a call could be placed that much later.
    """
    yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
    # Linux and Windows call the idle time TCP_KEEPIDLE, macOS TCP_KEEPALIVE.
    for names in (("TCP_KEEPIDLE", "TCP_KEEPALIVE"), ("TCP_KEEPINTVL",)):
        option = next((getattr(socket, name) for name in names if hasattr(socket, name)), None)
        if option is not None:
            yield socket.IPPROTO_TCP, option, 60
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        yield socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000
