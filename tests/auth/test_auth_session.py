import asyncio
import threading
from collections.abc import Callable

import anyio
import pytest

from kallyai_mcp.api.errors import (
    BadRequestError,
    NotConnectedError,
    NotSignedInError,
    ResponseLostError,
    UnavailableError,
    UnreadableResponseError,
)
from kallyai_mcp.auth import session as auth_session
from kallyai_mcp.auth.file_store import FileStore, TokenStoreError
from kallyai_mcp.auth.session import Session, StaticTokens
from kallyai_mcp.auth.tokens import Tokens
from tests.auth.fakes import NOW, Clock, Service, tokens
from tests.processes import LIMIT

MakeSession = Callable[..., Session]


async def test_a_token_is_renewed_a_minute_before_it_expires_or_when_it_was_refused(
    make_session: MakeSession, store: FileStore, service: Service, clock: Clock
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


@pytest.mark.parametrize("error", [None, NotConnectedError("no network"), RuntimeError("the client is closed")])
async def test_twenty_tasks_renew_once_and_share_the_result(
    error: Exception | None, make_session: MakeSession, store: FileStore, service: Service
) -> None:
    store.save(tokens(left=0))
    session = make_session()
    service.error = error
    got: list[object] = []

    async def ask() -> None:
        try:
            got.append(await session.access_token())
        except (NotConnectedError, RuntimeError) as caught:
            got.append(caught)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
    assert got == ["access-1" if error is None else error] * 20
    if not isinstance(error, RuntimeError):  # which is a defect of ours, so each task shows it
        assert len(service.requests) == 1
    service.error = None
    assert (await session.access_token()).startswith("access-")


async def test_without_a_sign_in_the_error_says_how_to_sign_in(make_session: MakeSession, service: Service) -> None:
    session = make_session()
    for request in (session.access_token(), session.renew("access-0")):
        with pytest.raises(NotSignedInError, match="kallyai-mcp login") as caught:
            await request
        assert caught.value.code == "not_signed_in"
    assert await session.current() is None
    assert service.requests == []


async def test_a_keyring_that_waits_for_its_user_is_named_and_takes_one_thread(
    make_session: MakeSession, store: FileStore, monkeypatch: pytest.MonkeyPatch
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


async def test_a_read_that_a_caller_gave_up_is_waited_for(make_session: MakeSession, store: FileStore) -> None:
    unlocked = threading.Event()

    class LockedStore:
        def load(self) -> Tokens | None:
            unlocked.wait()
            return store.load()

    async def ask() -> None:
        assert await session.access_token() == "access-0"

    store.save(tokens())
    session = make_session(store=LockedStore())
    with anyio.move_on_after(0.01):
        await session.access_token()
    with anyio.fail_after(LIMIT):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            unlocked.set()


@pytest.mark.parametrize(
    "error", [NotConnectedError("no network"), ResponseLostError("lost"), UnavailableError("down", status=503)]
)
async def test_while_the_service_is_down_the_old_token_is_used_until_it_expires(
    error: Exception, make_session: MakeSession, store: FileStore, service: Service, clock: Clock
) -> None:
    store.save(tokens(left=30))
    session = make_session()
    service.error = error
    assert await session.access_token() == "access-0"
    clock.time += 30
    with pytest.raises(type(error)) as caught:
        await session.access_token()
    assert caught.value is error
    assert store.load() == tokens(left=30)


@pytest.mark.parametrize("how", ["anyio", "asyncio"])
async def test_a_renewal_that_was_sent_is_stored_though_its_caller_was_cancelled(
    how: str, make_session: MakeSession, store: FileStore, service: Service
) -> None:
    store.save(tokens(left=0))
    service.gate = anyio.Event()
    session = make_session()
    scope = anyio.CancelScope()

    async def ask() -> None:
        with scope:
            await session.access_token()

    with anyio.fail_after(10):
        task = asyncio.create_task(ask())
        await service.arrived.wait()
        if how == "anyio":
            scope.cancel()
        else:
            task.cancel()
        await anyio.wait_all_tasks_blocked()
        assert not task.done()
        service.gate.set()
        await asyncio.wait([task])
    assert task.cancelled() == (how == "asyncio")
    kept = store.load()
    assert kept is not None
    assert kept.refresh_token is not None
    assert kept.refresh_token.get_secret_value() == service.valid == "refresh-1"
    assert await session.access_token() == "access-1"
    assert service.requests == ["refresh-0"]


async def test_a_token_without_a_refresh_token_is_used_until_it_expires(
    make_session: MakeSession, store: FileStore, service: Service, clock: Clock
) -> None:
    store.save(tokens(refresh=None, left=30))
    session = make_session()
    assert await session.access_token() == "access-0"
    with pytest.raises(NotSignedInError, match="can't be renewed"):
        await session.renew("access-0")
    clock.time += 30
    with pytest.raises(NotSignedInError, match="can't be renewed"):
        await session.access_token()
    assert service.requests == []


@pytest.mark.parametrize(
    ("answer", "raised", "words"),
    [
        (None, NotSignedInError, "no longer accepts this sign-in"),
        (BadRequestError("no such token", code="invalid_grant", status=400), NotSignedInError, "no longer accepts"),
        (BadRequestError("too slow", status=408), BadRequestError, "too slow"),
        (NotConnectedError("no network"), NotConnectedError, "no network"),
        ("two words {}", UnreadableResponseError, "not a token"),
        ("never", ResponseLostError, "too long"),
    ],
)
async def test_after_a_failed_renewal_nothing_is_deleted_and_the_error_says_what_to_do(
    answer: Exception | str | None,
    raised: type[Exception],
    words: str,
    make_session: MakeSession,
    store: FileStore,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    revoked = tokens(refresh="refresh-revoked" if answer is None else "refresh-0")
    store.save(revoked)
    if isinstance(answer, Exception):
        service.error = answer
    elif answer == "never":
        monkeypatch.setattr(auth_session, "RENEWAL_SECONDS", 0.01)
        service.gate = anyio.Event()
    elif answer is not None:
        service.access_token = answer.format
    with anyio.fail_after(10), pytest.raises(raised, match=words) as caught:
        await make_session().renew("access-0")
    assert "revoked" not in repr(caught.value)
    assert store.load() == revoked


async def test_the_token_of_the_setting_is_used_unchanged_and_not_renewed() -> None:
    static = StaticTokens("secret")
    assert await static.access_token() == "secret"
    assert not (await static.current()).expires_within(1e9, NOW)
    with pytest.raises(NotSignedInError, match="KALLYAI_ACCESS_TOKEN") as caught:
        await static.renew("secret")
    assert "secret" not in repr(static) + repr(caught.value)
