"""A KallyAI that answers at once, as a process, so that only its client is measured.

    python -m tests.bench.upstream

It prints its URL and serves until it is ended. A call that is placed has ended at once. The payloads are those of the
reference.
"""

import asyncio
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
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


_ANSWERS = {path: _answer(_reference(name)) for path, name in _PAYLOADS.items()}
_CALL = _reference("call_details.json")
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


class _Upstream(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            path = head.split(b" ", 2)[1].partition(b"?")[0]
            if head.startswith(b"POST /v1/calls "):
                submission = json.loads(rest[:length])["submission"]
                self._transport.write(_answer(_CALL | {"call_id": str(uuid.uuid4()), "submission": submission}))
            else:
                self._transport.write(_ANSWERS.get(path, _NOT_FOUND))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Upstream, "127.0.0.1", 0, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
