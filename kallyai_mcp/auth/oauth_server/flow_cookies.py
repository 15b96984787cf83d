"""The state of a sign-in, which the user's browser keeps in sealed cookies.

Each authorization request starts a flow with an unguessable name. A cookie with this name contains the request, sealed
for its next stage: `consent` until the user has allowed it, then `state`, until KallyAI sends the browser back with the
name of the flow as its `state` parameter. So only the browser with the consent page can allow the request, and only
the browser that has allowed it can come back from KallyAI.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens

CONSENT_SECONDS = 600.0
"""How long a user may take on the consent page."""

SIGN_IN_SECONDS = 900.0
"""How long a user may take on KallyAI's pages."""

APPS_SECONDS = 90 * 24 * 3600.0
"""How long a browser remembers its connected apps: as long as an unused refresh token is valid."""

_MAX_FLOWS = 5
_MAX_APPS = 12
_NAME = re.compile(r"[A-Za-z0-9_-]{22}")

Stage = Literal["consent", "state"]

CookieChanges = Mapping[str, str | None]
"""Cookies to set, by name without the common prefix; None to delete one."""


@dataclass(frozen=True)
class AuthorizationRequest:
    """A valid authorization request (OAuth 2.1, section 4.1.1).

    Attributes:
        family: The id of this consent, which all its codes and tokens have.
        client: The client's key.
        name: The client's own name.
        redirect_uri: The redirect URI for the authorization response.
        state: The client's own state, which the response repeats.
        challenge: The code challenge (S256).
        resource: The server that the token is for (RFC 8707).
        scopes: The scopes that the client asks for.
    """

    family: str
    client: str
    name: str | None
    redirect_uri: str
    state: str | None
    challenge: str
    resource: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class ConnectedApp:
    """A client that a user allowed in this browser.

    Attributes:
        name: The client's own name.
        family: The id of the consent, which the client's tokens have.
        since: When the user allowed it, in seconds since the epoch.
    """

    name: str | None
    family: str
    since: int

    @property
    def day(self) -> date:
        """The day of `since`, in UTC."""
        return datetime.fromtimestamp(self.since, UTC).date()


class FlowCookies:
    """Reads and writes the cookies.

    Args:
        sealed_tokens: Seals their content.
        secure: Whether they are sent only over https and bound to this host (`__Host-`).
    """

    def __init__(self, sealed_tokens: SealedTokens, *, secure: bool) -> None:
        self._sealed_tokens = sealed_tokens
        self._secure = secure
        self._prefix = "__Host-kallyai-" if secure else "kallyai-"

    def begin(self, request: Request, authorization: AuthorizationRequest) -> tuple[str, CookieChanges]:
        """Start a flow, and end the oldest if there are too many; returns its name, and the cookies for `write`."""
        name = secrets.token_urlsafe(16)
        changes: dict[str, str | None] = {f"flow-{old}": None for old in self._oldest_flows(request)}
        changes[f"flow-{name}"] = self._sealed_tokens.seal("consent", asdict(authorization), seconds=CONSENT_SECONDS)
        return name, changes

    def read(self, request: Request, stage: Stage, name: str) -> AuthorizationRequest | None:
        """The request of the flow `name`; None if this browser does not have the flow at this stage."""
        if not _NAME.fullmatch(name):
            return None
        content = self._sealed_tokens.open(stage, request.cookies.get(f"{self._prefix}flow-{name}"))
        if content is None:
            return None
        content.pop("exp")
        return AuthorizationRequest(**content | {"scopes": tuple(content["scopes"])})

    def consented(self, name: str, authorization: AuthorizationRequest) -> CookieChanges:
        """The cookies for a flow that the user has allowed, and that goes on to KallyAI."""
        return {f"flow-{name}": self._sealed_tokens.seal("state", asdict(authorization), seconds=SIGN_IN_SECONDS)}

    def ended(self, name: str) -> CookieChanges:
        """The cookies for a flow that has ended."""
        return {f"flow-{name}": None}

    def connected_apps(self, request: Request) -> list[ConnectedApp]:
        """The apps that were connected in this browser, the newest last."""
        content = self._sealed_tokens.open("apps", request.cookies.get(f"{self._prefix}apps"))
        return [ConnectedApp(*app) for app in content["apps"]] if content is not None else []

    def connect(self, request: Request, authorization: AuthorizationRequest, now: float) -> CookieChanges:
        """The cookies with the app of a request that was allowed at `now` (seconds since the epoch)."""
        connected = ConnectedApp(authorization.name, authorization.family, int(now))
        apps = [*self.connected_apps(request), connected][-_MAX_APPS:]
        content = {"apps": [[app.name, app.family, app.since] for app in apps]}
        return {"apps": self._sealed_tokens.seal("apps", content, seconds=APPS_SECONDS)}

    def sign_out_ticket(self, request: Request) -> tuple[str, CookieChanges]:
        """A ticket for a sign-out form, and the cookie that it is valid with, which all tabs of a browser share."""
        cookie = request.cookies.get(f"{self._prefix}sign-out", "")
        name = cookie if _NAME.fullmatch(cookie) else secrets.token_urlsafe(16)
        ticket = self._sealed_tokens.seal("sign-out", {"browser": name}, seconds=CONSENT_SECONDS)
        return ticket, {"sign-out": name}

    def may_sign_out(self, request: Request, ticket: str | None) -> bool:
        """Whether `ticket` was made for this browser."""
        content = self._sealed_tokens.open("sign-out", ticket)
        cookie = request.cookies.get(f"{self._prefix}sign-out", "")
        return content is not None and secrets.compare_digest(str(content["browser"]).encode(), cookie.encode())

    def write(self, response: Response, changes: CookieChanges) -> None:
        """Set and delete cookies. SameSite is Lax, because KallyAI's site sends the browser back to us."""
        for name, value in changes.items():
            options: dict[str, Any] = {"path": "/", "secure": self._secure, "httponly": True, "samesite": "lax"}
            if value is None:
                response.delete_cookie(self._prefix + name, **options)
            else:
                seconds = APPS_SECONDS if name == "apps" else SIGN_IN_SECONDS
                response.set_cookie(self._prefix + name, value, max_age=int(seconds), **options)

    def _oldest_flows(self, request: Request) -> list[str]:
        """The names of the flows that must end before one more starts."""
        prefix = f"{self._prefix}flow-"
        ends: dict[str, float] = {}
        for cookie, value in request.cookies.items():
            if cookie.startswith(prefix) and _NAME.fullmatch(cookie.removeprefix(prefix)):
                content = self._sealed_tokens.open("consent", value) or self._sealed_tokens.open("state", value)
                ends[cookie.removeprefix(prefix)] = content["exp"] if content is not None else 0.0
        return sorted(ends, key=ends.__getitem__)[: max(0, len(ends) - _MAX_FLOWS + 1)]
