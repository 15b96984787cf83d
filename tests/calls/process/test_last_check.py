"""What must hold at the moment at which a request leaves, also when it is sent again."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from kallyai_mcp.calls.records import CallRecord, CallState
from tests.calls.manual_time import ManualClock
from tests.calls.world import LOST, Service, World, end_of, world
from tests.fake_service import out_of_reach, tcp_server
from tests.transports.certificates import Certificate

pytestmark = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""One driver is enough: the tests of the ledger run each statement on both."""


def when_sent(here: World, do: Callable[[], None]) -> None:
    """Do something each time a record was marked as sent, just before its request leaves."""

    def after_write(result: object) -> None:
        # Of a reservation, or of a second try.
        record = result[0] if isinstance(result, tuple) else result
        if isinstance(record, CallRecord) and record.state is CallState.SENT:
            do()

    here.database.after_write = after_write


@asynccontextmanager
async def connecting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A TLS server that calls `meanwhile` before the handshake; yields its URL, and what it
    received after that.
    """
    certificate = Certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate.path, certificate.key_path)
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meanwhile()
        await writer.start_tls(tls)
        data = b""
        # The client does not read what TLS 1.3 sends after the handshake.
        with suppress(ConnectionResetError):
            data = await reader.read(100)
        received.append(data)

    async with tcp_server(serve) as port:
        yield f"https://127.0.0.1:{port}", received


async def test_no_request_leaves_with_a_new_users_token(here: World) -> None:
    access_token = here.session.access_token

    async def token_after_another_sign_in() -> str:
        here.session.name = "account-2"
        return await access_token()

    # The sign-in changes between two steps of one request, which no argument of the session can do.
    here.session.access_token = token_after_another_sign_in  # type: ignore[method-assign]
    record = await here.call()

    assert here.service.accounts == []
    assert end_of(record) == (CallState.REFUSED, "account_changed")


@pytest.mark.parametrize(
    "what", ["is suspended", "is suspended, and its clock set back", "is slow"]
)
async def test_no_request_leaves_long_after_its_record(here: World, what: str) -> None:
    def pause() -> None:
        (here.clock.advance if what == "is slow" else here.clock.suspend)(121)
        if what.endswith("set back"):
            here.clock.set_wall_clock(-121)

    when_sent(here, pause)
    record = await here.call()

    assert here.service.keys == []
    assert end_of(record) == (CallState.REFUSED, "too_late")


@pytest.mark.parametrize("is_suspended", [True, False])
@pytest.mark.parametrize(
    "write", [1, 2], ids=["when the loss is written down", "when it is about to leave once more"]
)
async def test_a_key_is_not_resent_after_a_pause(
    here: World, write: int, *, is_suspended: bool
) -> None:
    """The machine is suspended, or the database is slow."""
    service = here.answering([LOST])
    written = 0

    def pause() -> None:
        nonlocal written
        written += 1 if service.keys else 0
        if written == write:
            (here.clock.suspend if is_suspended else here.clock.advance)(60)

    when_sent(here, pause)
    record = await here.call()

    assert len(service.keys) == 1
    assert record.state is CallState.UNKNOWN


async def test_a_suspended_machines_old_request_is_not_placed(
    here: World,
) -> None:
    request = here.request()
    here.clock.suspend(121)
    record = await here.outcome(await here.run(here.calls.place(request)))

    assert end_of(record) == (CallState.REFUSED, "too_late")
    assert here.service.keys == []


@pytest.mark.parametrize("code", ["too_late", "account_changed", "not_signed_in"])
async def test_time_and_account_are_checked_once_connected(
    place: str, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def change() -> None:
        if code == "too_late":
            clock.suspend(1000)
        else:
            here.session.name = "account-2" if code == "account_changed" else None

    async with (
        connecting(tmp_path, monkeypatch, change) as (url, received),
        world(Service(clock), place, url=url) as here,
    ):
        record = await here.call()

    assert end_of(record) == (CallState.REFUSED, code)
    assert received == [b""]


async def test_a_process_that_ends_while_connecting_places_nothing(
    place: str, clock: ManualClock
) -> None:
    async with (
        out_of_reach(0) as (url, is_connected),
        world(Service(clock), place, url=url) as here,
    ):
        placed = await here.place()
        await is_connected.wait()
    service = Service(clock)
    async with world(service, place) as following:
        await following.run(clock.sleep(60))
        record = await following.find(placed.tracking_id)
        again = await following.call()
    assert end_of(record) == (CallState.REFUSED, "not_sent")
    assert again.state is CallState.ENDED
    assert len(service.keys) == 1
