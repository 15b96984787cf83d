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
from tests.auth.fakes import NOW, Clock, Service, grant, jwt, tokens
from tests.processes import LIMIT

MakeSession = Callable[..., Session]


async def test_a_token_that_has_not_expired_is_used_without_a_request(
    make_session: MakeSession, store: FileStore, service: Service
) -> None:
    store.save(tokens(left=60.5))
    assert await make_session().access_token() == "access-0"
    assert service.requests == []


async def test_a_token_is_renewed_a_minute_before_it_expires(
    make_session: MakeSession, store: FileStore, service: Service, clock: Clock
) -> None:
    store.save(tokens(left=60))
    session = make_session()
    assert await session.access_token() == "access-1"
    assert await session.access_token() == "access-1"
    assert service.requests == ["refresh-0"]
    assert store.load() == await session.current()
    clock.time += 3600
    assert await session.access_token() == "access-2"
    assert service.requests == ["refresh-0", "refresh-1"]


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


async def test_twenty_tasks_renew_once_and_all_get_the_new_token(
    make_session: MakeSession, store: FileStore, service: Service
) -> None:
    store.save(tokens(left=0))
    session = make_session()
    got: list[str] = []

    async def ask() -> None:
        got.append(await session.access_token())

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
    assert got == ["access-1"] * 20
    assert len(service.requests) == 1


async def test_tasks_that_waited_for_a_failed_renewal_share_its_error(
    make_session: MakeSession, store: FileStore, service: Service
) -> None:
    store.save(tokens(left=0))
    service.error = NotConnectedError("no network")
    session = make_session()
    caught: list[NotConnectedError] = []

    async def ask() -> None:
        with pytest.raises(NotConnectedError) as one:
            await session.access_token()
        caught.append(one.value)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
    assert len(caught) == 5
    assert len(service.requests) == 1
    service.error = None
    assert await session.access_token() == "access-2"


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


async def test_after_a_refused_renewal_the_error_asks_to_sign_in_and_nothing_is_deleted(
    make_session: MakeSession, store: FileStore
) -> None:
    store.save(tokens(refresh="refresh-revoked", left=0))
    with pytest.raises(NotSignedInError, match="no longer accepts this sign-in") as caught:
        await make_session().access_token()
    assert (caught.value.status, caught.value.code, caught.value.correlation_id) == (401, "invalid_token", "corr-7")
    assert "revoked" not in repr(caught.value)
    assert store.load() == tokens(refresh="refresh-revoked", left=0)


async def test_a_bad_request_is_a_refused_renewal(
    make_session: MakeSession, store: FileStore, service: Service
) -> None:
    store.save(tokens(left=0))
    service.error = BadRequestError("no such token", code="invalid_grant", status=400)
    with pytest.raises(NotSignedInError):
        await make_session().access_token()


async def test_a_transient_error_is_not_a_refused_renewal(
    make_session: MakeSession, store: FileStore, service: Service
) -> None:
    store.save(tokens(left=0))
    service.error = BadRequestError("too slow", status=408)
    with pytest.raises(BadRequestError):
        await make_session().access_token()


async def test_a_renewal_without_a_refresh_token_keeps_the_old_one(
    make_session: MakeSession, store: FileStore, service: Service, clock: Clock
) -> None:
    store.save(tokens(left=0))
    service.gives_refresh_token = False
    session = make_session()
    await session.access_token()
    clock.time += 4000
    assert await session.access_token() == "access-2"
    assert service.requests == ["refresh-0", "refresh-0"]


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


async def test_a_refused_token_is_renewed_once(make_session: MakeSession, store: FileStore, service: Service) -> None:
    store.save(tokens())
    session = make_session()
    assert await session.renew("access-0") == "access-1"
    assert await session.renew("access-0") == "access-1"
    assert service.requests == ["refresh-0"]


async def test_a_refused_token_is_not_used_when_it_cannot_be_renewed(
    make_session: MakeSession, store: FileStore, service: Service
) -> None:
    store.save(tokens())
    service.error = NotConnectedError("no network")
    with pytest.raises(NotConnectedError):
        await make_session().renew("access-0")


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


async def test_a_renewal_that_hangs_times_out(
    make_session: MakeSession, store: FileStore, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kallyai_mcp.auth.session.RENEWAL_SECONDS", 0.01)
    store.save(tokens(left=0))
    service.gate = anyio.Event()
    with anyio.fail_after(10), pytest.raises(ResponseLostError, match="too long"):
        await make_session().access_token()


async def test_an_unexpected_error_is_raised_unchanged_and_the_next_renewal_works(
    make_session: MakeSession, store: FileStore, service: Service
) -> None:
    store.save(tokens(left=0))
    session = make_session()
    service.error = RuntimeError("the client is closed")
    with pytest.raises(RuntimeError, match="the client is closed"):
        await session.access_token()
    service.error = None
    assert await session.access_token() == "access-2"


async def test_an_answer_without_a_usable_token_is_an_error(
    make_session: MakeSession, store: FileStore, service: Service
) -> None:
    store.save(tokens(left=0))
    service.access_token = "two words {}".format
    with pytest.raises(UnreadableResponseError):
        await make_session().access_token()
    assert store.load() == tokens(left=0)


async def test_signing_in_says_who_is_signed_in(make_session: MakeSession) -> None:
    session = make_session()
    signed_in = await session.sign_in(grant(access_token=jwt(email="user@example.com"), expires_in=1800))
    assert (signed_in.who, signed_in.expires_at) == ("user@example.com", NOW + 1800)
    assert await session.current() == signed_in


async def test_the_token_of_the_setting_is_used_unchanged() -> None:
    static = StaticTokens("secret")
    assert await static.access_token() == "secret"
    assert (await static.current()).access_token.get_secret_value() == "secret"
    assert not (await static.current()).expires_within(1e9, NOW)
    assert "secret" not in repr(static)


async def test_the_token_of_the_setting_is_not_renewed_and_the_error_names_the_setting() -> None:
    with pytest.raises(NotSignedInError, match="KALLYAI_ACCESS_TOKEN") as caught:
        await StaticTokens("secret").renew("secret")
    assert "secret" not in repr(caught.value)
