from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import httpx2
import pytest

from kallyai_mcp.auth.file_store import FileStore, TokenStoreError
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.sign_in import SignIn
from tests.auth.fakes import API, NOW, Clock, FullDiskStore
from tests.auth.loopback_browser import auth_url

MakeSession = Callable[..., Session]


def answer_to(link: str, **fields: str) -> str:
    """The address that the sign-in page sends the browser to."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    return f"{query['redirect_uri']}?" + urlencode({**fields, "state": query["state"]})


async def browse(link: str, **fields: str) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=True) as browser:
        return await browser.get(answer_to(link, **fields))


@asynccontextmanager
async def running(session: Session, clock: Clock, seconds: float = 60) -> AsyncIterator[SignIn]:
    """A `SignIn` in a task group that ends as a server's does: by cancellation."""
    with anyio.fail_after(20):
        async with anyio.create_task_group() as lifespan:
            yield SignIn(session, auth_url, lifespan, timeout=seconds, clock=clock)
            lifespan.cancel_scope.cancel()


async def test_a_user_who_opens_the_link_is_signed_in(make_session: MakeSession, clock: Clock) -> None:
    session = make_session()
    async with running(session, clock) as sign_in:
        link, expires_at = await sign_in.begin()
        assert expires_at == NOW + 60
        shown = await browse(link, access_token="access-7", refresh_token="refresh-7", expires_in="3600")
        assert shown.status_code == 200
        assert await sign_in.arrived(10)
        tokens = await session.current()
        assert tokens is not None
        assert tokens.expires_at == NOW + 3600
        assert await session.access_token() == "access-7"


async def test_there_is_one_link_while_a_sign_in_waits(make_session: MakeSession, clock: Clock) -> None:
    async with running(make_session(), clock) as sign_in:
        links: list[str] = []

        async def begin() -> None:
            links.append((await sign_in.begin())[0])

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(begin)
        assert len(links) == 5
        assert len(set(links)) == 1


@pytest.mark.parametrize("ends", ["sign_in_timed_out", "sign_in_refused", "token_store_failed"])
async def test_after_a_sign_in_that_failed_there_is_a_new_link(
    ends: str, make_session: MakeSession, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    store = FullDiskStore(tmp_path, API)
    store.is_full = ends == "token_store_failed"
    session = make_session(store=store)
    async with running(session, clock, seconds=0 if ends == "sign_in_timed_out" else 60) as sign_in:
        first, _ = await sign_in.begin()
        if ends != "sign_in_timed_out":
            await browse(first, **({"error": "access_denied"} if ends == "sign_in_refused" else {"access_token": "a"}))
        assert not await sign_in.arrived(10)
        assert f"sign-in: {ends}" in caplog.text
        assert await session.current() is None
        assert (await sign_in.begin())[0] != first


async def test_the_wait_ends_with_the_program(make_session: MakeSession, clock: Clock) -> None:
    async with running(make_session(), clock) as sign_in:
        link, _ = await sign_in.begin()
    with anyio.fail_after(5):
        assert not await sign_in.arrived(60)
    with pytest.raises(httpx2.ConnectError):
        await browse(link, access_token="access-7")


async def test_a_caller_that_is_cancelled_does_not_end_the_sign_in(make_session: MakeSession, clock: Clock) -> None:
    session = make_session()
    async with running(session, clock) as sign_in:
        with anyio.CancelScope() as tool_call:
            link, _ = await sign_in.begin()
            tool_call.cancel()
            await sign_in.arrived(10)
        assert tool_call.cancelled_caught
        await browse(link, access_token="access-7")
        assert await sign_in.arrived(10)
        assert await session.access_token() == "access-7"


async def test_without_a_port_there_is_an_error_and_a_new_sign_in_can_begin(
    make_session: MakeSession, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_port(**_: object) -> None:
        raise OSError("no port")

    async with running(make_session(), clock) as sign_in:
        with monkeypatch.context() as patch:
            patch.setattr(anyio, "create_tcp_listener", no_port)
            with pytest.raises(OSError, match="no port"):
                await sign_in.begin()
        assert (await sign_in.begin())[0]


async def test_where_a_sign_in_could_not_be_kept_there_is_no_link(
    make_session: MakeSession, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    async with running(make_session(store=FileStore(tmp_path / "file", API)), clock) as sign_in:
        with pytest.raises(TokenStoreError, match="Make its folder writable"):
            await sign_in.begin()
