"""URLs and addresses: loopback hosts, origins, networks, and the check that secrets may be sent to
a URL.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"https": 443, "http": 80}


def is_loopback(host: str | None) -> bool:
    """Whether `host` is `localhost` or a loopback address, also one of IPv4 that is mapped into
    IPv6.

    `host` has no port, and no brackets around an IPv6 address. None, for no host, is no loopback
    host.
    """
    if host is None:
        return False
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # Before Python 3.13, is_loopback is False for ::ffff:127.0.0.1.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def client_network(scope: Mapping[str, Any]) -> str:
    """The name that limits use for the client of a request, by its ASGI scope; see `network_of`."""
    client = scope.get("client")
    if not client:
        return "unknown"
    return network_of(client[0])


def network_of(address: str) -> str:
    """The name that limits use for the client at `address`.

    For IPv6 it is the /64 network, which one household has; for IPv4 it is the address, also if it
    is mapped into IPv6. Any other text is returned unchanged.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket's path, or what a proxy sends in place of an address
        return address
    if ip.version == 4:
        return address
    return str(ip.ipv4_mapped or ipaddress.ip_network((int(ip), 64), strict=False))


def origin_of(url: str) -> str:
    """The origin of an http or https URL: `scheme://host[:port]` in lower case, without a default
    port (RFC 6454).

    Raises `ValueError` if its port or IPv6 address is not valid.
    """
    parts = urlsplit(url)
    return _origin(parts.scheme, _host_in(parts), parts.port)


def _host_in(parts: SplitResult) -> str:
    return parts.hostname or ""


def _origin(scheme: str, host: str, port: int | None) -> str:
    """An origin without the default port of its scheme."""
    if port in (None, _DEFAULT_PORTS.get(scheme)):
        return f"{scheme}://{_in_url(host)}"
    return f"{scheme}://{_in_url(host)}:{port}"


def _in_url(host: str) -> str:
    """A host as it is in URLs: an address of IPv6 has brackets."""
    if ":" in host:
        return f"[{host}]"
    return host


def http_url(host: str, port: int) -> str:
    """The URL of a server that listens at an address of this machine; it always has the port."""
    return f"http://{_in_url(host)}:{port}"


def server_of(url: str) -> str:
    """The origin of an http or https URL, with one name for all those that lead to its host.

    That is `localhost` for this machine, and a name without a dot at the end. Raises as
    `origin_of`.
    """
    parts = urlsplit(url)
    host = _host_in(parts).removesuffix(".")
    if is_loopback(host):
        host = "localhost"
    return _origin(parts.scheme, host, parts.port)


def https_host(url: str) -> str | None:
    """The host of an https URL from outside, if the URL is on port 443, without a user name, and of
    valid characters.

    None for any other text. The valid characters are those of RFC 3986.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        port = parts.port
    except ValueError:
        return None
    is_on_443 = parts.scheme == "https" and port in (None, 443)
    if not is_on_443 or "@" in parts.netloc:
        return None
    if not _has_valid_characters(url):
        return None
    return host or None


def _has_valid_characters(url: str) -> bool:
    is_printable_ascii = url.isascii() and url.isprintable()
    return is_printable_ascii and set(url).isdisjoint(' #\\"<>')


def check_base_url(
    url: str, example: str = "https://api.kallyai.com", *, plain_http: bool = False
) -> str:
    """Check that secrets may be sent to the base URL of a service, which may have a path.

    Returns the URL with its origin as `origin_of` writes it, and without slashes at the end. Raises
    `ValueError` if it has a user name, a query, or a fragment, or is neither https nor, without
    `plain_http`, on a loopback address. The message is one line with the `example`. It does not
    quote the URL, which may contain a password.
    """
    if not url.isprintable() or not set(url).isdisjoint(" \\"):
        raise ValueError("white space, control characters and backslashes have no place in it")
    try:
        parts = urlsplit(url)
        origin = origin_of(url)
    except ValueError:
        raise ValueError(f"not a URL; it should look like {example}") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"not a web address; it should look like {example}")
    has_user_name = "@" in parts.netloc
    if has_user_name or not set(url).isdisjoint("?#"):
        raise ValueError(
            f"a user name, a query or a fragment has no place in it; it should look like {example}"
        )
    if not plain_http and not keeps_secrets(parts):
        raise ValueError(
            "http would send the sign-in in the clear; use https (http only for this machine)"
        )
    return f"{origin}{parts.path}".rstrip("/")


def keeps_secrets(parts: SplitResult) -> bool:
    """Whether nobody can read what is sent to this URL: it is https, or does not leave this
    machine.
    """
    return parts.scheme == "https" or is_loopback(parts.hostname)
