"""The session of this machine's user: renewals, and what several tasks and processes share."""

import asyncio
import threading
from collections.abc import Callable

import anyio
import pytest
from filelock import FileLock

from kallyai_mcp.api.errors import (
    KallyAIError,
    NotConnectedError,
    NotSignedInError,
    ResponseLostError,
)
from kallyai_mcp.auth import session as auth_session
from kallyai_mcp.auth.token_store import TokenStoreError
from kallyai_mcp.auth.tokens import Tokens
from tests.auth.fakes import NOW, Home, full_disk, grant, tokens
from tests.processes import LIMIT


@pytest.mark.parametrize(
    ("left", "token"), [(60.5, "access-0"), (60.0, "access-1")], ids=["fresh", "expires soon"]
)
async def test_a_token_is_renewed_before_it_expires(home: Home, left: float, token: str) -> None:
    home.store.save(tokens(left=left))

    assert await home.session().access_token() == token


async def test_a_token_is_renewed_once_and_kept(home: Home) -> None:
    home.store.save(tokens(left=0))
    session = home.session()

    assert [await session.access_token() for _ in range(2)] == ["access-1"] * 2
    assert home.service.requests == ["refresh-0"]
    assert home.store.load() == await session.current()


async def test_a_refused_token_is_renewed_once(home: Home) -> None:
    home.store.save(tokens())
    session = home.session()

    assert [await session.renew("access-0") for _ in range(2)] == ["access-1"] * 2


async def test_a_refresh_token_that_is_not_replaced_stays(home: Home) -> None:
    home.store.save(tokens(left=0))
    home.service.gives_refresh_token = False
    session = home.session()
    renewed = [await session.access_token()]
    home.clock.time += 4000
    renewed.append(await session.access_token())

    assert renewed == ["access-1", "access-2"]
    assert home.service.requests == ["refresh-0", "refresh-0"]


async def test_tasks_and_processes_share_one_renewal(home: Home) -> None:
    home.store.save(tokens(left=0))
    session, of_other_process = home.session(), home.session()
    home.service.error = NotConnectedError("no network")
    failed = await asyncio.gather(
        *(session.access_token() for _ in range(20)), return_exceptions=True
    )
    assert failed == [home.service.error] * 20
    assert home.service.requests == ["refresh-0"]
    home.service.error, home.service.requests, home.service.arrived = None, [], anyio.Event()
    home.service.gate = anyio.Event()
    asked = [asyncio.create_task(each.access_token()) for each in (session, of_other_process) * 10]
    with anyio.fail_after(LIMIT):
        await home.service.arrived.wait()
        # The system keeps their lock files apart, as those of two processes.
        await anyio.wait_all_tasks_blocked()
        home.service.gate.set()
        assert await asyncio.gather(*asked) == ["access-1"] * 20
    assert home.service.requests == ["refresh-0"]


async def test_a_locked_keyring_takes_one_thread(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlocked = threading.Event()
    waiting = 0

    class LockedStore:
        def load(self) -> Tokens | None:
            nonlocal waiting
            waiting += 1
            unlocked.wait()
            return home.store.load()

    home.store.save(tokens())
    session = home.session(store=LockedStore())
    monkeypatch.setattr(auth_session, "READ_SECONDS", 0.05)
    for _ in range(3):
        with pytest.raises(TokenStoreError, match="Unlock"):
            await session.access_token()
    with anyio.move_on_after(0.01):
        await session.access_token()
    assert waiting == 1

    unlocked.set()
    monkeypatch.undo()
    with anyio.fail_after(LIMIT):
        while True:
            try:
                assert await session.access_token() == "access-0"
                break
            except TokenStoreError:  # the thread that waited has not ended yet
                await anyio.lowlevel.checkpoint()


async def test_without_the_service_a_token_lasts_until_expiry(home: Home) -> None:
    home.service.error = NotConnectedError("no network")
    for refresh, error in (("refresh-0", NotConnectedError), (None, NotSignedInError)):
        kept = tokens(refresh=refresh, left=home.clock.time - NOW + 30)
        home.store.save(kept)
        session = home.session()
        assert await session.access_token() == "access-0"
        home.clock.time += 30
        with pytest.raises(error, match="no network" if refresh else "can't be renewed"):
            await session.access_token()
        assert home.store.load() == kept


@pytest.mark.parametrize("how", ["anyio", "asyncio"])
async def test_a_renewal_is_stored_although_its_caller_ended(home: Home, how: str) -> None:
    home.store.save(tokens(left=0))
    home.service.gate = anyio.Event()
    session = home.session()
    scope = anyio.CancelScope()

    async def ask() -> None:
        with scope:
            await session.access_token()

    with anyio.fail_after(LIMIT):
        task = asyncio.create_task(ask())
        await home.service.arrived.wait()
        (scope if how == "anyio" else task).cancel()
        await anyio.wait_all_tasks_blocked()
        waits = not task.done()
        home.service.gate.set()
        await asyncio.wait([task])
    kept = home.store.load()

    assert (waits, task.cancelled()) == (True, how == "asyncio")
    assert kept is not None
    assert [kept.as_document()["refresh_token"], home.service.valid] == ["refresh-1"] * 2
    assert await session.access_token() == "access-1"
    assert home.service.requests == ["refresh-0"]


async def test_a_failed_renewal_deletes_no_token(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tokens(refresh="refresh-revoked")
    home.store.save(kept)
    with pytest.raises(NotSignedInError, match="no longer accepts") as caught:
        await home.session().renew("access-0")
    assert "revoked" not in repr(caught.value)
    monkeypatch.setattr(auth_session, "RENEWAL_SECONDS", 0.01)
    home.service.gate = anyio.Event()  # there is no answer in time
    with anyio.fail_after(LIMIT), pytest.raises(ResponseLostError, match="too long"):
        await home.session().renew("access-0")
    assert home.store.load() == kept


async def test_what_another_process_did_counts(home: Home) -> None:
    server, command = home.session(), home.session()
    assert await server.current() is None
    for name in ("signed-in", "another"):
        await command.sign_in(grant(access_token=name))
        assert await server.access_token() == name

    async def after(change: Callable[[], None]) -> str:
        home.clock.time += 3600
        with FileLock(home.lock_path):
            asked = asyncio.create_task(server.access_token())
            await anyio.wait_all_tasks_blocked()
            change()
        with anyio.fail_after(LIMIT):
            return await asked

    assert (
        await after(lambda: home.store.save(tokens("elsewhere", "refresh-9", left=7200)))
        == "elsewhere"
    )
    with pytest.raises(NotSignedInError, match="Signed out"):
        await after(home.store.delete)
    await command.sign_in(grant())
    await command.sign_out()
    for session in (server, command):
        with pytest.raises(NotSignedInError):
            await session.access_token()
    assert home.store.load() is None
    assert home.service.requests == []


async def test_the_wait_for_another_processs_lock_ends(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.store.save(tokens(left=30))
    session = home.session()
    monkeypatch.setattr(auth_session, "LOCK_SECONDS", 0.0)
    with anyio.fail_after(LIMIT), FileLock(home.lock_path):
        assert await session.access_token() == "access-0"
        home.clock.time += 30
        with pytest.raises(KallyAIError, match="Another kallyai-mcp process") as caught:
            await session.access_token()
        assert caught.value.code == "sign_in_busy"
    assert home.service.requests == []
    assert await session.access_token() == "access-1"


async def test_a_renewal_does_not_undo_signing_out(
    home: Home,
) -> None:
    home.store.save(tokens(left=0))
    home.service.gate = anyio.Event()
    session = home.session()
    with anyio.fail_after(LIMIT):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.access_token)
            await home.service.arrived.wait()
            tasks.start_soon(session.sign_out)
            await anyio.wait_all_tasks_blocked()
            home.service.gate.set()
    assert home.store.load() is await session.current() is None


async def test_on_a_full_disk_renewed_tokens_are_used(home: Home) -> None:
    home.store.save(tokens(left=0))
    session = home.session()
    used = []
    with full_disk():
        for _ in range(2):
            used.append(await session.access_token())
            home.clock.time += 3600

    assert used == ["access-1", "access-2"]
    assert home.service.requests == ["refresh-0", "refresh-1"]


async def test_a_full_disk_keeps_the_old_sign_in(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    kept = tokens(left=0)
    home.store.save(kept)
    with full_disk():
        await home.session().access_token()
        found = home.store.load()

    assert found == kept
    # No part of the new file is left.
    assert len(list((home.lock_path.parent / "sign-in").iterdir())) == 1
    assert "No space left on device" in caplog.text


async def test_on_a_full_disk_signing_in_fails(home: Home) -> None:
    with full_disk(), pytest.raises(TokenStoreError, match="No space left"):
        await home.session().sign_in(grant())


async def test_when_the_disk_has_room_tokens_are_stored(home: Home) -> None:
    home.store.save(tokens(left=0))
    session = home.session()
    with full_disk():
        await session.access_token()
    home.clock.time += 3600

    assert await session.access_token() == "access-2"
    assert home.store.load() == await session.current()
