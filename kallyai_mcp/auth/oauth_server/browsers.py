"""The browser of a user: its cookies, and the apps that were connected in it.

A cookie counts only under its own name. Over https the name begins with `__Host-`, so that no other
host can have set it (RFC 6265bis, section 4.1.3.2).
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from kallyai_mcp.auth.oauth_server.provider import REQUEST_SECONDS, Provider
from kallyai_mcp.auth.oauth_server.stored import App

_MOST_FLOWS = 5
"""The most flows of a browser. Each has a cookie of up to 4 kB."""

_ID = "browser"
"""The name, after the prefix, of the cookie with the id of a browser."""

_ID_SECONDS = 400 * 24 * 3600.0
"""How long a browser keeps its id after a visit: no browser keeps a cookie for longer."""


@dataclass(frozen=True, repr=False)
class Browser:
    """The browser that has sent a request.

    It keeps a sealed `flow` for each request of a client that the user has not answered, under the
    flow's `family`, and one sealed id, under which the server stores the apps connected here.
    """

    provider: Provider
    request: Request

    def flow(self, family: str) -> Mapping[str, Any] | None:
        """The flow of a family; None if this browser has none, or it has taken too long."""
        return self._flows().get(family)

    def keep_flow(self, response: Response, flow: Mapping[str, Any]) -> None:
        """Keep a flow; end the oldest ones if there are too many."""
        families = list(self._flows())
        too_many = max(0, len(families) + 1 - _MOST_FLOWS)
        for family in families[:too_many]:
            self.end_flow(response, family)
        sealed = self.provider.sealed_tokens.seal("flow", flow, REQUEST_SECONDS)
        self._set_cookie(response, flow["family"], sealed, REQUEST_SECONDS)

    def end_flow(self, response: Response, family: str) -> None:
        """Forget a flow."""
        self._set_cookie(response, family, "", 0)

    async def own_id(self) -> str:
        """The sealed id of this browser; a new one if it has none, or one that is not ours."""
        sealed_id = self._cookies().get(_ID)
        if sealed_id is not None and await self._is_ours(sealed_id):
            return sealed_id
        return self.provider.sealed_tokens.seal("browser", {"id": secrets.token_urlsafe(16)})

    def keep_id(self, response: Response, sealed_id: str) -> None:
        """Keep an id as long as a browser can."""
        self._set_cookie(response, _ID, sealed_id, _ID_SECONDS)

    def stay(self, response: Response) -> None:
        """Keep the id that this browser has, if it has one."""
        sealed_id = self._cookies().get(_ID)
        if sealed_id is not None:
            self.keep_id(response, sealed_id)

    async def apps(self) -> Mapping[str, App]:
        """The apps that are connected here, by the family of their tokens."""
        sealed_id = self._cookies().get(_ID)
        if sealed_id is None:
            return {}
        return await self.provider.stored.apps(digest_of(sealed_id))

    async def disconnect_all(self) -> None:
        """Revoke the tokens of all apps that are connected here."""
        sealed_id = self._cookies().get(_ID)
        if sealed_id is None:
            return
        for family in await self.apps():
            await self.provider.revoke(family, digest_of(sealed_id))

    async def disconnect(self, button: str) -> None:
        """Revoke the tokens of the app that is connected here and has this button."""
        sealed_id = self._cookies().get(_ID)
        if sealed_id is None:
            return
        for family in await self.apps():
            if button_of(family) == button:
                await self.provider.revoke(family, digest_of(sealed_id))

    async def _is_ours(self, sealed_id: str) -> bool:
        """Whether this server has made an id, perhaps with a key that was removed since."""
        is_sealed = self.provider.sealed_tokens.open(sealed_id, "browser") is not None
        return is_sealed or bool(await self.apps())

    def _flows(self) -> dict[str, dict[str, Any]]:
        """The flows by family, the oldest first (RFC 6265, section 5.4)."""
        flows = {}
        for name, value in self._cookies().items():
            flow = self.provider.sealed_tokens.open(value, "flow")
            if flow is not None and flow["family"] == name:
                flows[name] = flow
        return flows

    def _cookies(self) -> Mapping[str, str]:
        """The cookies of this server, by their names without the prefix.

        A form that another site's page has sent gets none.
        """
        sent_by = self.request.headers.get("Sec-Fetch-Site", "same-origin")
        if self.request.method == "POST" and sent_by != "same-origin":
            return {}
        return {
            name.removeprefix(self._prefix): value
            for name, value in self.request.cookies.items()
            if name.startswith(self._prefix)
        }

    @property
    def _is_secure(self) -> bool:
        return self.provider.issuer.startswith("https:")

    @property
    def _prefix(self) -> str:
        return f"{'__Host-' if self._is_secure else ''}kallyai-"

    def _set_cookie(self, response: Response, name: str, value: str, seconds: float) -> None:
        # Lax, because KallyAI's site sends the browser back to us.
        response.set_cookie(
            f"{self._prefix}{name}",
            value,
            max_age=int(seconds),
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )


def button_of(family: str) -> str:
    """What names the button of an app on the home page; nobody can guess the family by it."""
    return sha256(family.encode()).hexdigest()[:32]


def digest_of(sealed_id: str) -> str:
    """What names a browser outside of it: in its tokens, and in the database.

    It needs no key, so the list outlasts the key that sealed the id; and it is no cookie, so who
    reads the database can't disconnect the apps of others.
    """
    return sha256(sealed_id.encode()).hexdigest()
