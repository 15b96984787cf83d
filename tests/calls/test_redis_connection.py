"""Which addresses of Redis are understood, and that no password of one is ever shown."""

import logging
import subprocess
import sys
import traceback
from pathlib import Path
from urllib.parse import quote

import anyio
import pytest

from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.ledger.redis_ledger import RedisLedger
from tests.calls.places import opened
from tests.calls.test_ledger import SCOPE, is_placed, record
from tests.redis_server import RedisServer


@pytest.mark.parametrize("password", ["correct-horse", "p/a?s#s@w:o%r[d]"])
async def test_a_password_opens_redis_and_a_wrong_one_does_not_and_neither_is_ever_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, password: str
) -> None:
    caplog.set_level(logging.DEBUG)
    server = RedisServer(tmp_path, "--requirepass", password)
    server.start()
    spoken: list[str] = []
    try:
        for given in (password, f"{password}-wrong"):
            url = server.url.replace("//", f"//:{quote(given, safe='')}@")
            async with opened(url) as ledger:
                spoken += [repr(ledger), str(ledger)]
                if given == password:
                    assert await is_placed(ledger, record())
                    continue
                with pytest.raises(LedgerUnavailableError, match="refuses the user name or password") as raised:
                    await ledger.find(SCOPE, "t-1")
                spoken += [repr(raised.value), *traceback.format_exception(raised.value)]
                assert raised.value.__context__ is None
    finally:
        server.kill()

    spoken += [entry.getMessage() for entry in caplog.records]
    assert f"RedisLedger('redis://127.0.0.1:{server.port}/0')" in spoken
    assert not [words for words in spoken if password in words or quote(password, safe="") in words]


async def test_a_server_that_repeats_the_password_is_not_quoted() -> None:
    async def repeat(client: anyio.abc.SocketStream) -> None:
        async with client:
            await client.receive()
            await client.send(b"-ERR unknown command 'AUTH', with args beginning with: 'correct-horse'\r\n")

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, repeat)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django's
        async with opened(f"redis://:correct-horse@127.0.0.1:{port}") as ledger:
            with pytest.raises(LedgerUnavailableError, match=r"'\[password\]'"):
                await ledger.find(SCOPE, "t-1")
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "url",
    [
        "http://:correct-horse@127.0.0.1",
        "redis://:correct-horse/1@127.0.0.1",
        "redis://:1234/correct-horse@127.0.0.1",
        "redis://:1234?correct-horse@127.0.0.1",
        "redis://:1234#correct-horse@127.0.0.1",
        "redis://:correct-horse[@127.0.0.1",
        "redis://:correct-horse\u2100@127.0.0.1",
        "redis://:correct-horse@127.0.0.1/first",
        "redis://:correct-horse@127.0.0.1?colour=red",
        "rediss://:correct-horse@127.0.0.1?ssl_cert_reqs=perhaps",
    ],
)
def test_an_address_that_can_not_be_used_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValueError, match="redis://") as raised:
        RedisLedger(url)

    spoken = "".join(traceback.format_exception(raised.value)).replace("RedisLedger(url)", "")
    assert "horse" not in spoken
    assert raised.value.__context__ is None


@pytest.mark.parametrize("url", ["rediss://user:secret@redis.example:6380/2", "unix://:secret@/run/redis.sock?db=1"])
def test_tls_and_unix_sockets_are_understood(url: str) -> None:
    shown = url.partition("?")[0].replace("user:secret@", "").replace(":secret@", "")

    assert repr(RedisLedger(url)) == f"RedisLedger('{shown}')"


@pytest.mark.parametrize("prefix", ["", "{a", "a}"])
def test_a_prefix_that_would_spoil_the_hash_tag_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        RedisLedger("redis://127.0.0.1", prefix=prefix)


def test_redis_is_imported_only_for_a_ledger_in_redis() -> None:
    code = "import sys, kallyai_mcp.calls.ledger.redis_ledger; print('redis' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)

    with pytest.raises(LedgerUnavailableError, match=r"kallyai-mcp\[redis\]"):
        RedisLedger("redis://127.0.0.1")
