"""The session of this machine's user: renewals, and what several tasks and processes share."""

import asyncio
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from filelock import FileLock

from kallyai_mcp.api.errors import KallyAIError, NotConnectedError, NotSignedInError, ResponseLostError
from kallyai_mcp.auth import session as auth_session
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.token_store import TokenStore, TokenStoreError
from kallyai_mcp.auth.tokens import Tokens
from tests.auth.fakes import NOW, Clock, Service, full_disk, grant, tokens
from tests.processes import LIMIT

MakeSession = Callable[..., Session]


async def test_a_token_is_renewed_a_minute_before_it_expires_or_when_it_was_refused(
    make_session: MakeSession, store: TokenStore, service: Service, clock: Clock
) -> None:
    store.save(tokens(left=60.5))
    session = make_session()
    assert await session.access_token() == "access-0"
    assert service.requests == []
    clock.time += 0.5
    assert await session.access_token() == "access-1"
    assert await session.access_token() == "access-1"
    assert service.requests == ["refresh-0"]
    assert store.load() == await session.current()
    assert [await session.renew("access-1") for _ in range(2)] == ["access-2"] * 2
    service.gives_refresh_token = False
    clock.time += 4000
    assert await session.access_token() == "access-3"
    clock.time += 4000
    assert await session.access_token() == "access-4"
    assert service.requests == ["refresh-0", "refresh-1", "refresh-2", "refresh-2"]


async def test_twenty_tasks_renew_once_and_share_the_result_or_the_error(
    make_session: MakeSession, store: TokenStore, service: Service
) -> None:
    store.save(tokens(left=0))
    session = make_session()
    for error in (NotConnectedError("no network"), None):
        service.error, service.requests = error, []
        answers = (session.access_token() for _ in range(20))
        assert await asyncio.gather(*answers, return_exceptions=True) == [error or "access-1"] * 20
        assert len(service.requests) == 1


async def test_two_processes_that_renew_at_once_send_one_renewal(
    make_session: MakeSession, store: TokenStore, service: Service
) -> None:
    store.save(tokens(left=0))
    service.gate = anyio.Event()
    asked = [asyncio.create_task(session.access_token()) for session in (make_session(), make_session())]
    with anyio.fail_after(LIMIT):
        await service.arrived.wait()
        await anyio.wait_all_tasks_blocked()  # the system keeps their lock files apart, as those of two processes
        service.gate.set()
        assert await asyncio.gather(*asked) == ["access-1"] * 2
    assert service.requests == ["refresh-0"]


async def test_a_keyring_that_waits_for_its_user_is_named_and_takes_one_thread(
    make_session: MakeSession, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlocked = threading.Event()
    waiting = 0

    class LockedStore:
        def load(self) -> Tokens | None:
            nonlocal waiting
            waiting += 1
            unlocked.wait()
            return store.load()

    store.save(tokens())
    session = make_session(store=LockedStore())
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


async def test_while_the_service_is_down_the_old_token_is_used_until_it_expires(
    make_session: MakeSession, store: TokenStore, service: Service, clock: Clock
) -> None:
    service.error = NotConnectedError("no network")
    for refresh, error in (("refresh-0", NotConnectedError), (None, NotSignedInError)):
        kept = tokens(refresh=refresh, left=clock.time - NOW + 30)
        store.save(kept)
        session = make_session()
        assert await session.access_token() == "access-0"
        clock.time += 30
        with pytest.raises(error, match="no network" if refresh else "can't be renewed"):
            await session.access_token()
        assert store.load() == kept


@pytest.mark.parametrize("how", ["anyio", "asyncio"])
async def test_a_renewal_that_was_sent_is_stored_though_its_caller_was_cancelled(
    how: str, make_session: MakeSession, store: TokenStore, service: Service
) -> None:
    store.save(tokens(left=0))
    service.gate = anyio.Event()
    session = make_session()
    scope = anyio.CancelScope()

    async def ask() -> None:
        with scope:
            await session.access_token()

    with anyio.fail_after(LIMIT):
        task = asyncio.create_task(ask())
        await service.arrived.wait()
        (scope if how == "anyio" else task).cancel()
        await anyio.wait_all_tasks_blocked()
        assert not task.done()
        service.gate.set()
        await asyncio.wait([task])
    assert task.cancelled() == (how == "asyncio")
    kept = store.load()
    assert kept is not None
    assert kept.as_document()["refresh_token"] == service.valid == "refresh-1"
    assert await session.access_token() == "access-1"
    assert service.requests == ["refresh-0"]


@pytest.mark.parametrize("is_refused", [True, False])
async def test_after_a_failed_renewal_nothing_is_deleted_and_the_error_says_what_to_do(
    make_session: MakeSession,
    store: TokenStore,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_refused: bool,
) -> None:
    kept = tokens(refresh="refresh-revoked" if is_refused else "refresh-0")
    store.save(kept)
    if not is_refused:  # there is no answer in time
        monkeypatch.setattr(auth_session, "RENEWAL_SECONDS", 0.01)
        service.gate = anyio.Event()
    raised, words = (NotSignedInError, "no longer accepts") if is_refused else (ResponseLostError, "too long")
    with anyio.fail_after(LIMIT), pytest.raises(raised, match=words) as caught:
        await make_session().renew("access-0")
    assert "revoked" not in repr(caught.value)
    assert store.load() == kept


@pytest.mark.parametrize("other_does", ["renews", "signs out"])
async def test_what_another_process_did_while_we_waited_for_it_counts(
    other_does: str, make_session: MakeSession, store: TokenStore, service: Service, tmp_path: Path
) -> None:
    store.save(tokens(left=0))
    session = make_session()
    assert await session.current() is not None  # then it waits only for the lock
    with FileLock(tmp_path / "home" / "renew.lock"):
        asked = asyncio.create_task(session.access_token())
        await anyio.wait_all_tasks_blocked()
        if other_does == "renews":
            store.save(tokens("renewed-elsewhere", "refresh-9"))
        else:
            store.delete()
    with anyio.fail_after(LIMIT):
        if other_does == "renews":
            assert await asked == "renewed-elsewhere"
        else:
            with pytest.raises(NotSignedInError, match="Signed out"):
                await asked
    assert service.requests == []


async def test_a_sign_in_and_a_sign_out_of_another_process_count(make_session: MakeSession, store: TokenStore) -> None:
    server, command = make_session(), make_session()
    assert await server.current() is None
    for name in ("signed-in", "another"):
        await command.sign_in(grant(access_token=name))
        assert await server.access_token() == name
    await command.sign_out()
    for session in (server, command):
        with pytest.raises(NotSignedInError):
            await session.access_token()
    assert store.load() is None


async def test_the_wait_for_a_lock_of_another_process_ends(
    make_session: MakeSession,
    store: TokenStore,
    service: Service,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.save(tokens(left=30))
    session = make_session()
    monkeypatch.setattr(auth_session, "LOCK_SECONDS", 0.0)
    with anyio.fail_after(LIMIT), FileLock(tmp_path / "home" / "renew.lock"):
        assert await session.access_token() == "access-0"
        clock.time += 30
        with pytest.raises(KallyAIError, match="Another kallyai-mcp process") as caught:
            await session.access_token()
        assert caught.value.code == "sign_in_busy"
    assert service.requests == []
    assert await session.access_token() == "access-1"


async def test_signing_out_waits_for_a_renewal_in_progress_and_is_not_undone_by_it(
    make_session: MakeSession, store: TokenStore, service: Service
) -> None:
    store.save(tokens(left=0))
    service.gate = anyio.Event()
    session = make_session()
    with anyio.fail_after(LIMIT):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.access_token)
            await service.arrived.wait()
            tasks.start_soon(session.sign_out)
            await anyio.wait_all_tasks_blocked()
            service.gate.set()
    assert store.load() is await session.current() is None


async def test_on_a_full_disk_renewed_tokens_are_used_until_the_process_ends_and_a_new_sign_in_is_an_error(
    make_session: MakeSession, store: TokenStore, service: Service, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    store.save(tokens(left=0))
    session = make_session()
    with full_disk():
        assert await session.access_token() == "access-1"
        assert "No space left on device" in caplog.text
        with pytest.raises(TokenStoreError, match="No space left"):
            await session.sign_in(grant())
        clock.time += 3600
        assert await session.access_token() == "access-2"
    assert service.requests == ["refresh-0", "refresh-1"]
    clock.time += 3600
    assert await session.access_token() == "access-3"
    assert store.load() == await session.current()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no permission bits")
async def test_what_a_sign_in_creates_is_private_whatever_the_umask(make_session: MakeSession, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "sign-in"
    session = make_session(lock_path=folder / "renewal.lock")
    before = os.umask(0)
    try:
        await session.sign_in(grant())
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
        for place in (folder.parent, folder, *folder.glob("*.json")):
            place.chmod(0o755)
        await session.sign_in(grant())
    finally:
        os.umask(before)
    modes = {place.name: stat.S_IMODE(place.stat().st_mode) for place in (folder.parent, folder, *folder.iterdir())}
    # The home folder keeps its mode, because other programs may use it.
    assert modes == {"home": 0o755, "sign-in": 0o700} | dict.fromkeys(
        ("renewal.lock", "renewal.changed", "http___127.0.0.1_8000.json"), 0o600
    )
