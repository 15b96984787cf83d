"""A PostgreSQL server that may lose data, is killed, hangs, or ends connections: nothing is placed
twice or lost.
"""

import logging
import os
import shutil
import socket
import subprocess
import threading
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

import anyio
import anyio.to_thread
import psycopg
import pytest
from anyio.abc import SocketAttribute, SocketStream

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.events import Checked, Leave, Requested
from kallyai_mcp.calls.ledger.base import Ledger, Tx
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.timing import Timing
from tests.calls.ledgers import ACCOUNT, another, asked, is_placed, opened, reserved, state_of
from tests.calls.manual_time import ManualClock
from tests.calls.world import PLACED, TABLE, Service, after, end_of, reply, world
from tests.postgres_server import LIMIT, PostgresDatabases, PostgresServer
from tests.processes import free_port

SECONDS = 3.0
"""When a database counts as hanging, in these tests."""

OTHER = TABLE.model_copy(update={"task_description": "Ask for the hours"})


@asynccontextmanager
async def hasty(url: str, clock: ManualClock) -> AsyncIterator[Ledger]:
    """A ledger that does not wait long for its server."""
    database = PostgresDatabase(url, now=clock.now, seconds=SECONDS)
    async with aclosing(database):
        yield Ledger(database, policy=CallPolicy(), timing=Timing())


def end_connections(server: PostgresDatabases, url: str) -> None:
    """End all connections of the ledger, as a proxy does with those that are idle; that ends the
    leases, too.
    """
    server.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE application_name = 'kallyai-mcp' AND datname = current_database()",
        url,
    )


async def test_a_database_that_may_lose_writes_is_refused(
    postgres: PostgresDatabases, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.create_database()
    postgres.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
    service = Service(clock)
    async with world(service, url) as here:
        with pytest.raises(LedgerUnavailableError, match="synchronous_commit = off"):
            await here.place()
    postgres.drop_database(url)

    assert service.keys == []
    assert "synchronous_commit = off, so a crash could lose calls; switch it on" in caplog.text


async def test_each_new_connection_is_checked_for_lost_writes(
    postgres: PostgresDatabases, clock: ManualClock
) -> None:
    url = postgres.create_database()
    async with hasty(url, clock) as ledger:
        before = await is_placed(ledger, another(1))
        postgres.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
        end_connections(postgres, url)
        with pytest.raises(LedgerUnavailableError, match="synchronous_commit = off"):
            await is_placed(ledger, another(2))
        postgres.execute(f"ALTER DATABASE {url.rpartition('/')[2]} RESET synchronous_commit")
        after_repair = await is_placed(ledger, another(3))
    postgres.drop_database(url)

    assert (before, after_repair) == (True, True)


async def test_an_outcome_is_written_after_postgresqls_restart(
    own_postgres: PostgresServer, clock: ManualClock
) -> None:
    service = Service(
        clock,
        [after(own_postgres.kill, PLACED), after(own_postgres.pause, reply("success", "c-2"))],
    )
    url = own_postgres.create_database()
    database = PostgresDatabase(url, now=clock.now, seconds=SECONDS)
    async with world(service, url, database=database) as here, anyio.create_task_group() as tasks:

        async def repair(step: Callable[[], None]) -> None:
            await clock.sleep(0.1)
            step()

        for wanted, step in ((TABLE, own_postgres.start), (OTHER, own_postgres.resume)):
            placed = await here.place(wanted)
            tasks.start_soon(repair, step)
            record = await here.outcome(placed)
            duplicate = await here.place(wanted)
            assert record.state is CallState.ENDED
            assert not duplicate.is_new

    assert len(service.keys) == 2


async def test_requests_to_a_hanging_server_are_answered(
    own_postgres: PostgresServer, clock: ManualClock
) -> None:
    url = own_postgres.create_database()
    async with hasty(url, clock) as used, hasty(url, clock) as unused:
        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(reserved, used, another(number))
        own_postgres.pause()
        errors: list[str] = []

        async def ask(ledger: Ledger, number: int) -> None:
            with pytest.raises(LedgerUnavailableError) as raised:
                await ledger.handle(ACCOUNT, Requested(Checked(another(number), redial=False)))
            errors.append(raised.value.code)

        with anyio.fail_after(LIMIT):
            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(ask, used, 20 + number)
                    tasks.start_soon(ask, unused, 40 + number)
        own_postgres.resume()

        assert errors == ["ledger_unavailable"] * 40
        assert await is_placed(used, another(100))
        assert await is_placed(unused, another(101))
        assert [await state_of(used, another(20 + number)) for number in range(40)] == [None] * 40


async def test_transactions_run_once_despite_ended_idle_connections(
    postgres: PostgresDatabases, database_url: str
) -> None:
    """The pool does not ask whether a connection still works: the first statement of a transaction
    finds out.
    """
    database = PostgresDatabase(database_url)
    together = threading.Barrier(8)

    def connect(_: Tx) -> None:
        together.wait(LIMIT)

    def insert(name: str, tx: Tx) -> None:
        tx.run(
            "INSERT INTO shared_values (kind, name, value, expires_at) VALUES ('k', :n, 'v', 0)",
            n=name,
        )

    async with aclosing(database):
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(database.write, connect)
        end_connections(postgres, database_url)
        for number in range(10):
            await database.write(partial(insert, str(number)))
        written = await database.read(lambda tx: len(tx.rows("SELECT 1 FROM shared_values")))

    assert written == 10


async def test_a_worker_without_its_lease_sends_nothing(
    postgres: PostgresDatabases, database_url: str, clock: ManualClock
) -> None:
    limited = after(lambda: end_connections(postgres, database_url), (429, {}))
    service = Service(clock, [limited, reply("success", "c-2")])
    async with world(service, database_url) as here:
        first = await here.call()
        second = await here.call(OTHER)
        third = await here.call()

    assert end_of(first) == (CallState.REFUSED, "not_sent")
    assert second.state is CallState.ENDED
    assert third.state is not CallState.REFUSED
    assert service.keys[0] != service.keys[1]


async def test_a_record_during_takeover_is_not_sent(database_url: str, clock: ManualClock) -> None:
    async with (
        hasty(database_url, clock) as ledger,
        await psycopg.AsyncConnection.connect(database_url) as other,
    ):
        record = await reserved(ledger, asked(worker=await ledger.database.take_lease()))
        await other.execute("UPDATE calls SET worker = 'another'")
        codes: list[str] = []

        async def send() -> None:
            try:
                await ledger.handle(record.account, Leave(record))
            except KallyAIError as error:
                codes.append(error.code)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            async with await psycopg.AsyncConnection.connect(database_url) as third:
                with anyio.fail_after(SECONDS):
                    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    while (await (await third.execute(waiting)).fetchone()) == (0,):
                        await third.rollback()
            await other.commit()

        assert codes == ["not_sent"]
        assert await state_of(ledger, record) is CallState.RESERVED


PASSWORD = "p/a?s#s@w:o%r[d] horse"


@pytest.fixture
async def refusing_port() -> AsyncIterator[int]:
    """The port of a server that repeats the password as it refuses it."""

    async def refuse(client: SocketStream) -> None:
        async with client:
            await client.receive()
            words = f"SFATAL\0C28P01\0Mpassword {PASSWORD} is wrong\0\0".encode()
            await client.send(b"E" + (len(words) + 4).to_bytes(4) + words)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, refuse)
        yield listener.extra(SocketAttribute.local_port)  # noqa: S610 - not Django's
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "address", ["127.0.0.1:{port}/x?sslmode=disable", "127.0.0.1:9/x", "no-such-host.invalid/x"]
)
async def test_an_unusable_server_is_reported_at_once(
    refusing_port: int, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Long before the time-out for a server that hangs, and without the password."""
    caplog.set_level(logging.DEBUG)
    quoted = quote(PASSWORD, safe="")
    url = f"postgresql://user:{quoted}@{address.format(port=refusing_port)}"
    async with aclosing(PostgresDatabase(url, seconds=10 * LIMIT)) as database:
        with anyio.fail_after(LIMIT):
            shown = await _error_of(database.take_lease)
            shown += await _error_of(lambda: database.write(lambda tx: tx.now))
        shown += [repr(database), str(database), caplog.text]
    shown += [entry.getMessage() for entry in caplog.records]

    assert "can't be used" in shown[0]
    assert not [text for text in shown if PASSWORD in text or quoted in text]


async def _error_of(step: Callable[[], Awaitable[object]]) -> list[str]:
    with pytest.raises(LedgerUnavailableError) as raised:
        await step()
    return [str(raised.value), repr(raised.value), *traceback.format_exception(raised.value)]


async def test_an_unusable_database_url_is_not_quoted() -> None:
    for user, rest in (
        ("correct-horse[", "/x"),
        ("1234", ":correct-horse/x"),
        ("correct-horse%zz", "/x"),
    ):
        with pytest.raises((ValueError, LedgerUnavailableError)) as raised:
            await PostgresDatabase(f"postgresql://user:{user}@127.0.0.1{rest}").take_lease()
        assert "horse" not in "".join(traceback.format_exception(raised.value))


@pytest.fixture
def pool_of_transactions(postgres: PostgresDatabases, tmp_path: Path) -> Iterator[int]:
    """The port of a PgBouncer whose pool gives each transaction another session of the server."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("there is no PgBouncer on this machine (Debian: apt-get install pgbouncer)")
    port, settings = free_port(), tmp_path / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={postgres.port} "
        "user=kallyai\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n"
        "ignore_startup_parameters = options\n"
    )
    user = "nobody" if os.getuid() == 0 else None
    with settings.open() as read:
        process = subprocess.Popen(
            [program, "-q", "/dev/stdin"], stdin=read, stderr=subprocess.DEVNULL, user=user
        )
    try:
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
        yield port
    finally:
        process.terminate()
        process.wait()


async def test_a_pool_of_transactions_is_refused(
    database_url: str, pool_of_transactions: int
) -> None:
    """A lock that a worker took would outlive it, and others could take it, too."""
    name = database_url.rpartition("/")[2]
    async with opened(f"postgresql://kallyai@127.0.0.1:{pool_of_transactions}/{name}") as ledger:
        with pytest.raises(LedgerUnavailableError, match="PgBouncer"):
            await ledger.write(None, lambda tx: tx.now)
