"""Shared by the tests of sign-in: tokens, a service that renews them, and a full disk."""

import base64
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from kallyai_mcp.api.errors import UnauthorizedError
from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.token_store import TokenStore
from kallyai_mcp.auth.tokens import Tokens

NOW = 1_790_000_000.0
API = "http://127.0.0.1:8000"


class Service:
    """The service's refresh endpoint: each refresh token works once and is replaced; one that is
    reused is refused.

    `gate` delays answers until it is set; the first request sets `arrived`; `error` is raised
    instead of an answer.
    """

    def __init__(self) -> None:
        self.valid = "refresh-0"
        self.requests: list[str] = []
        self.arrived = anyio.Event()
        self.gate: anyio.Event | None = None
        self.error: Exception | None = None
        self.gives_refresh_token = True

    async def __call__(self, refresh_token: str) -> TokenGrant:
        self.requests.append(refresh_token)
        self.arrived.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        if refresh_token != self.valid:
            raise UnauthorizedError(
                "refresh token not accepted",
                code="invalid_token",
                status=401,
                correlation_id="corr-7",
            )
        number = len(self.requests)
        grant: dict[str, Any] = {"access_token": f"access-{number}", "expires_in": 3600}
        if self.gives_refresh_token:
            self.valid = grant["refresh_token"] = f"refresh-{number}"
        return TokenGrant.model_validate(grant)


class Home:
    """A folder with a sign-in; its sessions are like those of several processes."""

    def __init__(self, folder: Path) -> None:
        self.store = TokenStore("file", folder, API)
        self.service, self.clock, self.lock_path = (
            Service(),
            SimpleNamespace(time=NOW),
            folder / "renew.lock",
        )

    def session(self, store: Any = None) -> Session:
        return Session(store or self.store, self.service, self.lock_path, lambda: self.clock.time)


def jwt(**claims: object) -> str:
    """A token in the form of a JWT, with a random signature."""
    parts = [json.dumps({"alg": "HS256"}), json.dumps(claims), secrets.token_hex(8)]
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


def tokens(
    access: str = "access-0", refresh: str | None = "refresh-0", *, left: float = 3600
) -> Tokens:
    """Tokens that expire `left` seconds after NOW."""
    return Tokens.model_validate(
        {"access_token": access, "refresh_token": refresh, "expires_at": NOW + left}
    )


@contextmanager
def full_disk() -> Iterator[None]:
    """The disk can be read, but not written."""

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        yield


def grant(**fields: object) -> TokenGrant:
    return TokenGrant.model_validate(
        {"access_token": "signed-in", "refresh_token": "refresh-0", **fields}
    )
