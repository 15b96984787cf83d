import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from filelock import FileLock

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.auth.file_store import FileStore, TokenStoreError
from kallyai_mcp.auth.session import Session
from tests.auth.fakes import API, Clock, FullDiskStore, Service, grant, tokens

MakeSession = Callable[..., Session]


async def test_after_a_refused_renewal_tokens_that_another_process_renewed_are_used(
    make_session: MakeSession, store: FileStore, service: Service
) -> None:
    store.save(tokens(left=0))
    service.valid = "refresh-of-another"
    service.gate = anyio.Event()
    session = make_session()
    got: list[str] = []

    async def ask() -> None:
        got.append(await session.access_token())

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await service.arrived.wait()
            store.save(tokens("renewed-elsewhere", "refresh-of-another"))  # by a process that does not use the lock
            service.gate.set()
    assert got == ["renewed-elsewhere"]
    assert store.load() == tokens("renewed-elsewhere", "refresh-of-another")


@pytest.mark.parametrize("other_does", ["renews", "signs out", "nothing"])
async def test_what_another_process_did_while_we_waited_for_it_counts(
    other_does: str, make_session: MakeSession, store: FileStore, service: Service, tmp_path: Path
) -> None:
    store.save(tokens(left=0))
    session = make_session()
    assert await session.current() is not None  # then it waits only for the lock
    outcomes: list[str] = []

    async def ask() -> None:
        try:
            outcomes.append(await session.access_token())
        except NotSignedInError as error:
            outcomes.append(str(error))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            with FileLock(tmp_path / "home" / "renew.lock"):
                tasks.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                if other_does == "renews":
                    store.save(tokens("renewed-elsewhere", "refresh-9"))
                elif other_does == "signs out":
                    store.delete()
                else:
                    tasks.cancel_scope.cancel()
    assert service.requests == []
    expected = {"renews": ["renewed-elsewhere"], "nothing": []}
    assert outcomes == expected.get(other_does, outcomes)
    assert other_does != "signs out" or "Signed out" in outcomes[0]


async def test_a_sign_in_and_a_sign_out_of_another_process_count(make_session: MakeSession, store: FileStore) -> None:
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
    make_session: MakeSession, store: FileStore, service: Service, clock: Clock, tmp_path: Path
) -> None:
    store.save(tokens(left=30))
    session = make_session(lock_wait=0.0)
    with anyio.fail_after(10), FileLock(tmp_path / "home" / "renew.lock"):
        assert await session.access_token() == "access-0"
        clock.time += 30
        with pytest.raises(KallyAIError, match="Another kallyai-mcp process") as caught:
            await session.access_token()
        assert caught.value.code == "sign_in_busy"
    assert service.requests == []
    assert await session.access_token() == "access-1"


async def test_without_a_lock_file_a_token_is_still_renewed(
    make_session: MakeSession, store: FileStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    store.save(tokens(left=0))
    (tmp_path / "file").write_text("")
    session = make_session(lock_path=tmp_path / "file" / "renew.lock")
    assert await session.access_token() == "access-1"
    assert "no lock can be made" in caplog.text
    assert "can't be written" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that says it is writable and is not: /proc")
async def test_a_folder_that_is_not_writable_though_it_says_so_is_no_lock_that_others_hold(
    make_session: MakeSession, store: FileStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    store.save(tokens(left=0))
    session = make_session(lock_path=Path("/proc/renew.lock"))
    with anyio.fail_after(5):
        assert await session.access_token() == "access-1"
    assert "no lock can be made in /proc" in caplog.text


async def test_signing_out_waits_for_a_renewal_in_progress_and_is_not_undone_by_it(
    make_session: MakeSession, store: FileStore, service: Service
) -> None:
    store.save(tokens(left=0))
    service.gate = anyio.Event()
    session = make_session()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.access_token)
            await service.arrived.wait()
            tasks.start_soon(session.sign_out)
            await anyio.wait_all_tasks_blocked()
            service.gate.set()
    assert store.load() is None
    assert await session.current() is None


async def test_renewed_tokens_that_cannot_be_stored_are_used_until_the_process_ends(
    make_session: MakeSession, service: Service, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FullDiskStore(tmp_path, API)
    store.save(tokens(left=0))
    store.is_full = True
    session = make_session(store=store)
    assert await session.access_token() == "access-1"
    assert "The disk is full." in caplog.text
    clock.time += 3600
    assert await session.access_token() == "access-2"
    assert service.requests == ["refresh-0", "refresh-1"]
    store.is_full = False
    clock.time += 3600
    assert await session.access_token() == "access-3"
    assert store.load() == await session.current()


async def test_tokens_that_cannot_be_stored_are_an_error_and_change_nothing(
    make_session: MakeSession, tmp_path: Path
) -> None:
    store = FullDiskStore(tmp_path, API)
    store.save(tokens())
    store.is_full = True
    session = make_session(store=store)
    with pytest.raises(TokenStoreError, match="disk is full"):
        await session.sign_in(grant())
    assert await session.access_token() == "access-0"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no permission bits")
async def test_the_folder_that_the_first_sign_in_creates_is_private(make_session: MakeSession, tmp_path: Path) -> None:
    await make_session(lock_path=tmp_path / "home" / "sign-in" / "renewal.lock").sign_in(grant())
    for folder in (tmp_path / "home", tmp_path / "home" / "sign-in"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
