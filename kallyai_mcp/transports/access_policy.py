"""Who may use the HTTP server."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kallyai_mcp.transports.limits import RateLimiter, Verifier


@dataclass(frozen=True)
class AccessPolicy:
    """Who may use the HTTP server: by the headers `Host` and `Origin`, and by the bearer token of a request.

    Attributes:
        hosts: Allowed values of `Host`. `name:*` allows any port or none. None allows all values.
        origins: Allowed values of `Origin`, in the same form. Requests without `Origin` are always allowed.
        verifier: Checks bearer tokens; None if no token is needed.
        is_known: Returns whether this process has accepted a bearer token before. Such a token is checked even if its
            address has sent too many invalid ones.
        wrong_bearer_limit: How many invalid bearer tokens each address may send; None for no limit.
        issuer: The URL of the authorization server, for the protected resource metadata (RFC 9728); None without one.
        scopes: All scopes that the tools need, for the same metadata; empty without any.
        public_url: The server's base URL for clients; None for the one that the request was sent to.
        rate_limit: How many requests each account may send (each address, if no token is needed); None for no limit.
        open_paths: Paths that need no bearer token.
        trusted_proxies: Addresses and networks of proxies whose `X-Forwarded-For` header is used.
    """

    hosts: Sequence[str] | None
    origins: Sequence[str] = ()
    verifier: Verifier | None = None
    is_known: Callable[[str], bool] = lambda _: False
    wrong_bearer_limit: RateLimiter | None = None
    issuer: str | None = None
    scopes: tuple[str, ...] = ()
    public_url: str | None = None
    rate_limit: RateLimiter | None = None
    open_paths: frozenset[str] = frozenset()
    trusted_proxies: Sequence[str] = ()

    def allows_host(self, host: str) -> bool:
        """Whether a request with this `Host` header is for this server."""
        return self.hosts is None or _matches(host, self.hosts)

    def allows_origin(self, origin: str | None) -> bool:
        """Whether a page with this `Origin` may use the server. A request without it (None) always may."""
        return origin is None or _matches(origin, self.origins)


def _matches(value: str, allowed: Sequence[str]) -> bool:
    value = value.lower()
    without_port = re.sub(r":[0-9]{1,5}$", "", value)
    return any(value == name or (name.endswith(":*") and without_port == name[:-2]) for name in map(str.lower, allowed))
