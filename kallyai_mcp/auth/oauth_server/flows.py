"""A browser's way through consent and sign-in, kept by the browser itself in sealed cookies.

Each authorization request is a flow with a name that nobody can guess. The cookie of that name holds the request:
sealed for consent until the person has allowed it, and then sealed for KallyAI's answer, whose `state` is the name. So
only the browser that was asked can allow, and only the browser that allowed can come back.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens

CONSENT_SECONDS = 600.0
"""How long a consent page stays good."""

SIGN_IN_SECONDS = 900.0
"""How long a person may take at KallyAI."""

ALLOWED_SECONDS = 90 * 24 * 3600.0
"""How long a browser remembers what was allowed in it: as long as a refresh token that nobody uses."""

_MOST_FLOWS = 5
_MOST_ALLOWED = 12
_NAME = re.compile(r"[A-Za-z0-9_-]{22}")

Stage = Literal["consent", "state"]


@dataclass(frozen=True)
class Asked:
    """An authorization request that may be consented to.

    Attributes:
        family: Names all that will come out of it.
        client: The client's key.
        name: What the client calls itself.
        redirect_uri: Where the answer goes.
        state: The client's own, which goes back with it.
        challenge: The code challenge, S256.
        resource: What the token is for.
        scopes: What was asked for.
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
class Allowed:
    """What was allowed in a browser: a client's name, the family, and when (seconds since the epoch)."""

    name: str | None
    family: str
    since: int

    @property
    def day(self) -> str:
        """The day, ISO 8601, UTC."""
        return datetime.fromtimestamp(self.since, UTC).date().isoformat()


class Flows:
    """Reads and writes the cookies.

    Args:
        seals: Seals them.
        secure: Cookies go over https only, and are this host's alone (`__Host-`).
    """

    def __init__(self, seals: SealedTokens, *, secure: bool) -> None:
        self._seals = seals
        self._secure = secure
        self._prefix = "__Host-kallyai-" if secure else "kallyai-"

    def begin(self, request: Request, asked: Asked) -> tuple[str, Mapping[str, str | None]]:
        """A new flow.

        Args:
            request: Whose browser; when it has many flows the oldest go.
            asked: What it is about.

        Returns:
            Its name, and the cookies to set (None: to delete) by `write`.
        """
        name = secrets.token_urlsafe(16)
        changes: dict[str, str | None] = {f"flow-{old}": None for old in self._oldest(request)}
        changes[f"flow-{name}"] = self._seals.seal("consent", asdict(asked), seconds=CONSENT_SECONDS)
        return name, changes

    def read(self, request: Request, stage: Stage, name: str) -> Asked | None:
        """The flow of that name, if this browser has it and it is at `stage`."""
        if not _NAME.fullmatch(name):
            return None
        held = self._seals.open(stage, request.cookies.get(f"{self._prefix}flow-{name}"))
        if held is None:
            return None
        held.pop("exp")
        return Asked(**held | {"scopes": tuple(held["scopes"])})

    def consented(self, name: str, asked: Asked) -> Mapping[str, str | None]:
        """The cookies that send the flow on to KallyAI."""
        return {f"flow-{name}": self._seals.seal("state", asdict(asked), seconds=SIGN_IN_SECONDS)}

    def ended(self, name: str) -> Mapping[str, str | None]:
        """The cookies that end it."""
        return {f"flow-{name}": None}

    def allowed(self, request: Request) -> list[Allowed]:
        """What was allowed in this browser, the newest last."""
        held = self._seals.open("allowed", request.cookies.get(f"{self._prefix}allowed"))
        return [Allowed(*item) for item in held["families"]] if held is not None else []

    def allow(self, request: Request, asked: Asked, now: float) -> Mapping[str, str | None]:
        """The cookies that remember what has just been allowed."""
        families = [*self.allowed(request), Allowed(asked.name, asked.family, int(now))][-_MOST_ALLOWED:]
        content = {"families": [[item.name, item.family, item.since] for item in families]}
        return {"allowed": self._seals.seal("allowed", content, seconds=ALLOWED_SECONDS)}

    def sign_out_ticket(self, request: Request) -> tuple[str, Mapping[str, str | None]]:
        """What a sign-out form carries, and the cookie that it must come back with; the same in all tabs."""
        held = request.cookies.get(f"{self._prefix}sign-out", "")
        name = held if _NAME.fullmatch(held) else secrets.token_urlsafe(16)
        ticket = self._seals.seal("sign-out", {"browser": name}, seconds=CONSENT_SECONDS)
        return ticket, {"sign-out": name}

    def may_sign_out(self, request: Request, ticket: str | None) -> bool:
        """Whether `ticket` was made for this browser."""
        held = self._seals.open("sign-out", ticket)
        browser = request.cookies.get(f"{self._prefix}sign-out", "")
        return held is not None and secrets.compare_digest(str(held["browser"]).encode(), browser.encode())

    def write(self, response: Response, changes: Mapping[str, str | None]) -> None:
        """Set and delete cookies; Lax, since KallyAI sends the browser back from another site."""
        for name, value in changes.items():
            options: dict[str, Any] = {"path": "/", "secure": self._secure, "httponly": True, "samesite": "lax"}
            if value is None:
                response.delete_cookie(self._prefix + name, **options)
            else:
                seconds = ALLOWED_SECONDS if name == "allowed" else SIGN_IN_SECONDS
                response.set_cookie(self._prefix + name, value, max_age=int(seconds), **options)

    def _oldest(self, request: Request) -> list[str]:
        prefix = f"{self._prefix}flow-"
        ends: dict[str, float] = {}
        for cookie, value in request.cookies.items():
            if cookie.startswith(prefix) and _NAME.fullmatch(cookie.removeprefix(prefix)):
                held = self._seals.open("consent", value) or self._seals.open("state", value)
                ends[cookie.removeprefix(prefix)] = held["exp"] if held is not None else 0.0
        return sorted(ends, key=ends.__getitem__)[: max(0, len(ends) - _MOST_FLOWS + 1)]
