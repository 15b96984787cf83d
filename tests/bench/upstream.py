"""A KallyAI that answers at once, as a process, so that only its client is measured.

    python -m tests.bench.upstream

It prints its URL and serves until it is ended. A call ends at once. The payloads are those of the
reference.
"""

import asyncio
import contextlib
import json
import uuid
from pathlib import Path
from typing import Any

_REFERENCE = Path(__file__).parent.parent / "reference"
_PAYLOADS = {
    b"/v1/users/me/statistics": "statistics.json",
    b"/v1/users/me/subscription": "subscription.json",
}


def _reference(name: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads((_REFERENCE / name).read_text(encoding="utf-8"))
    return payload


def _answer(payload: dict[str, Any]) -> bytes:
    body = json.dumps(payload).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


_ANSWERS = {path: _answer(_reference(name)) for path, name in _PAYLOADS.items()}
_CALL = _reference("call_details.json")
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


async def _answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # the client has gone
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            body = await reader.readexactly(
                int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            )
            if head.startswith(b"post /v1/calls "):
                called = {
                    "call_id": str(uuid.uuid4()),
                    "submission": json.loads(body)["submission"],
                }
                writer.write(_answer(_CALL | called))
            else:
                writer.write(_ANSWERS.get(head.split(b" ", 2)[1].partition(b"?")[0], _NOT_FOUND))
    writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_answer_all, "127.0.0.1", 0, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
