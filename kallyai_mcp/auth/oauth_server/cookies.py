"""What a browser keeps for a sign-in, in sealed cookies.

Each authorization request starts a flow, whose name is the unguessable name of its family. A cookie with this name
contains the request, sealed for its next stage: `consent` until the user has allowed it, then `state`, until KallyAI
sends the browser back with the name of the flow as its `state` parameter. So only the browser with the consent page can
allow the request, and only the browser that has allowed it can come back from KallyAI.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens

SIGN_IN_SECONDS = 900.0
"""How long a user may take on the consent page, and then on KallyAI's pages."""

APPS_SECONDS = 90 * 24 * 3600.0
"""How long a browser remembers its connected apps: as long as an unused refresh token is valid."""

_MAX_FLOWS, _MAX_APPS = 5, 12

Stage = Literal["consent", "state"]


class Cookies:
    """Reads and writes the cookies. With `secure`, they are sent only over https and bound to this host (`__Host-`)."""

    def __init__(self, sealed_tokens: SealedTokens, *, secure: bool) -> None:
        self._sealed_tokens, self._secure = sealed_tokens, secure
        self._apps = "__Host-kallyai-apps" if secure else "kallyai-apps"
        self._flow = self._apps.replace("apps", "flow-")

    def begin(self, request: Request, response: Response, authorization: Mapping[str, Any]) -> None:
        """Start the flow of a request (`Provider.authorize`), and end the oldest flows if there are too many."""
        flows = [name for name in request.cookies if re.fullmatch(f"{self._flow}[A-Za-z0-9_-]{{22}}", name)]
        for old in flows[: 1 - _MAX_FLOWS]:  # a browser sends the oldest first (RFC 6265, section 5.4)
            self._set(response, old, "", 0)
        self.keep(response, "consent", authorization)

    def read(self, request: Request, stage: Stage, flow: str) -> dict[str, Any] | None:
        """The request of a flow; None if this browser does not have the flow at this stage."""
        return self._sealed_tokens.open(stage, request.cookies.get(self._flow + flow))

    def keep(self, response: Response, stage: Stage, authorization: Mapping[str, Any]) -> None:
        """Bring a flow to this stage."""
        sealed = self._sealed_tokens.seal(stage, authorization, seconds=SIGN_IN_SECONDS)
        self._set(response, self._flow + authorization["family"], sealed, SIGN_IN_SECONDS)

    def end(self, response: Response, authorization: Mapping[str, Any]) -> None:
        """End a flow."""
        self._set(response, self._flow + authorization["family"], "", 0)

    def apps(self, request: Request) -> list[tuple[str | None, str, int]]:
        """The name, the family, and the time (seconds since the epoch) of each app that was allowed in this browser."""
        content = self._sealed_tokens.open("apps", request.cookies.get(self._apps)) or {"apps": []}
        return [(name, family, since) for name, family, since in content["apps"]]

    def set_apps(self, response: Response, apps: list[tuple[str | None, str, int]]) -> None:
        """Remember the newest of these apps."""
        sealed = self._sealed_tokens.seal("apps", {"apps": apps[-_MAX_APPS:]}, seconds=APPS_SECONDS)
        self._set(response, self._apps, sealed, APPS_SECONDS)

    def _set(self, response: Response, name: str, value: str, seconds: float) -> None:
        # SameSite is Lax, because KallyAI's site sends the browser back to us.
        response.set_cookie(name, value, max_age=int(seconds), secure=self._secure, httponly=True, samesite="lax")
