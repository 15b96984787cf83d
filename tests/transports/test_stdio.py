"""Standard input and output, whatever a client connects to them and however it splits its
messages.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kallyai_mcp.tools.catalog import tools
from tests.processes import COMMAND, LIMIT, environment
from tests.transports.http_server import CALL, wait_until
from tests.transports.stdio_peer import Peer, initialization, line, piped

PRINTING = """
import os, subprocess, sys
from kallyai_mcp.transports.standard_streams import take_stdio
stdin, stdout = take_stdio()
print("printed by the program", flush=True)
code = "import sys; print('printed by a child', repr(sys.stdin.read()))"
subprocess.run([sys.executable, "-c", code], check=True)
os.write(stdout, os.read(stdin, 100))
"""


SERVE = [*COMMAND, "serve"]

pytestmark = pytest.mark.programs


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A client that has initialized its session, and whose user can be asked."""
    with piped(tmp_path_factory.mktemp("home"), [*SERVE, "--sandbox"], CONFIRM="always") as peer:
        peer.send(
            initialization().replace(
                b'"capabilities": {}', b'"capabilities": {"elicitation": {"form": {}}}'
            )
        )
        assert peer.answer()["id"] == 1
        yield peer


def test_messages_are_answered_however_they_are_split(peer: Peer) -> None:
    whole = line(2, "tools/list")
    for start in range(0, len(whole), 7):
        peer.send(whole[start : start + 7])
    listed = peer.answer()
    peer.send(b"".join(line(number, "ping") for number in range(2, 42)))
    together = sorted(peer.answer()["id"] for _ in range(40))
    long_id = "ñ" * 500_000
    peer.send(line(long_id, "ping"))
    megabyte = peer.answer()
    broken = line(2, "tools/call", name="get_call", arguments={"call_id": "X"}).replace(
        b"X", b"caf\xe9"
    )
    peer.send(broken + line(3, "ping"))
    after_invalid_utf_8 = sorted(peer.answer()["id"] for _ in range(2))

    assert len(listed["result"]["tools"]) == len(tools())
    assert together == list(range(2, 42))
    assert megabyte["id"] == long_id
    assert after_invalid_utf_8 == [2, 3]


HALF = rb"caf\ud83d"
CALL_OF_NOTHING = b'{"jsonrpc": "2.0", "id": %s, "method": "tools/call", "params": %s}\n'


def test_an_invalid_message_gets_an_error(peer: Peer) -> None:
    messages: list[tuple[bytes, object, int]] = [
        (
            CALL_OF_NOTHING
            % (b"2", b'{"name": "get_call", "arguments": {"call_id": "%s"}}' % HALF),
            2,
            -32600,
        ),
        (CALL_OF_NOTHING % (b'"%s"' % HALF, b"{}"), "caf\ud83d", -32600),
        (b'{"jsonrpc": "2.0", "id": 2,\n', None, -32700),
        (
            CALL_OF_NOTHING % (b"2", b'{"name": %s1%s}' % (b"[" * 100_000, b"]" * 100_000)),
            None,
            -32700,
        ),
        (CALL_OF_NOTHING % (b"2", b"[1]"), 2, -32600),
        (b'[{"jsonrpc": "2.0", "id": 2, "method": "ping"}]\n', None, -32600),
        (b'{"id": 2, "method": "ping"}\n', 2, -32600),
    ]
    for message, id_, code in messages:
        peer.send(message + b" \n" + line(3, "ping"))
        answers = {one["id"]: one for one in (peer.answer(), peer.answer())}

        assert answers[id_]["error"]["code"] == code, message[:80]
        assert answers[3]["result"] == {}


def test_an_invalid_reply_agrees_to_nothing(
    peer: Peer,
) -> None:
    for reply in (
        b'"result": "yes"',
        b'"result": {"action": "accept", "content": {"a": "%s"}}' % HALF,
    ):
        peer.send(line(2, "tools/call", name="make_call", arguments=CALL))
        asked = peer.answer()
        peer.send(b'{"jsonrpc": "2.0", "id": %d, %s}\n' % (asked["id"], reply))
        answer = peer.answer()

        assert asked["method"] == "elicitation/create"
        assert (answer["id"], answer["result"]["structuredContent"]["status"]) == (
            2,
            "needs_confirmation",
        )


def test_a_server_serves_between_two_files(tmp_path: Path) -> None:
    requests, responses = tmp_path / "requests", tmp_path / "responses"
    requests.write_bytes(initialization())
    with requests.open("rb") as stdin, responses.open("wb") as stdout:
        subprocess.run(
            SERVE, env=environment(tmp_path), stdin=stdin, stdout=stdout, timeout=LIMIT, check=True
        )

    assert [json.loads(line)["id"] for line in responses.read_bytes().splitlines()] == [1]


def test_a_client_that_closes_stdout_ends_the_server(tmp_path: Path) -> None:
    with piped(tmp_path, SERVE, stderr=subprocess.PIPE, FAST_START="0") as peer:
        peer.send(initialization())
        assert peer.answer()["id"] == 1
        peer.reads.close()
        peer.send(line(2, "tools/list"))

        assert peer.process.wait(LIMIT) == 0
        assert peer.process.stderr is not None
        assert peer.process.stderr.read() == b""


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a process can't read another one's limits"
)
def test_a_stdio_server_opens_as_many_files(tmp_path: Path) -> None:
    import resource

    with piped(tmp_path, ["sh", "-c", 'ulimit -Sn 256 && exec "$@"', "sh", *COMMAND]) as peer:
        peer.send(initialization() + line(2, "tools/call", name="check_quota", arguments={}))
        assert [peer.answer()["id"] for _ in range(2)] == [1, 2]
        soft, hard = resource.prlimit(peer.process.pid, resource.RLIMIT_NOFILE)

    assert soft == min(hard, 65_536)


def test_other_output_goes_to_stderr() -> None:
    command = [sys.executable, "-c", PRINTING]
    done = subprocess.run(
        command, input="a message", capture_output=True, text=True, timeout=LIMIT, check=True
    )

    assert done.stdout == "a message"
    assert "printed by the program" in done.stderr
    assert "printed by a child ''" in done.stderr


async def test_tools_are_loaded_before_their_first_call(tmp_path: Path) -> None:
    log, command = tmp_path / "log", [sys.executable, "-X", "importtime", *COMMAND[1:]]
    # Python does not log the module that `import_module` is asked for, but those that it imports.
    late = {"kallyai_mcp.api.transport", "httpcore2._async"}
    late |= {"phonenumbers.phonenumberutil", "filelock._core"}
    with log.open("wb") as stderr, piped(tmp_path, command, stderr=stderr) as peer:
        peer.send(initialization() + line(2, "tools/list"))
        assert [peer.answer()["id"] for _ in range(2)] == [1, 2]
        await wait_until(
            lambda: (
                late <= {text.rpartition("|")[2].strip() for text in log.read_text().splitlines()}
            )
        )
