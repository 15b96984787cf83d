"""Fixtures for the tests of sign-in: token stores, a service that renews tokens, and a clock that a test sets."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backends import fail

from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.token_store import TokenStore
from tests.auth.fakes import API, Clock, MemoryKeyring, Service


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def service() -> Service:
    return Service()


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore("file", tmp_path / "home", API)


@pytest.fixture
def make_session(store: TokenStore, service: Service, clock: Clock, tmp_path: Path) -> Callable[..., Session]:
    """Makes sessions that share a folder, like those of several processes."""

    def make(**more: Any) -> Session:
        lock_path = more.pop("lock_path", tmp_path / "home" / "renew.lock")
        return Session(more.pop("store", store), service, lock_path, clock, **more)

    return make


@pytest.fixture
def system_keyring() -> Iterator[MemoryKeyring]:
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def no_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]  # keyring has no types there
    yield
    keyring.set_keyring(before)
