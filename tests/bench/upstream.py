"""A KallyAI that answers at once, as a process, so that only its client is measured.

    python -m tests.bench.upstream

It prints its URL and serves until it is ended. The payloads are those of the reference.
"""

import asyncio
import json
from pathlib import Path

_REFERENCE = Path(__file__).parent.parent / "reference"
_PAYLOADS = {
    b"/v1/users/me/statistics": "statistics.json",
    b"/v1/users/me/subscription": "subscription.json",
}


def _answer(name: str) -> bytes:
    body = json.dumps(json.loads((_REFERENCE / name).read_text(encoding="utf-8"))).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


_ANSWERS = {path: _answer(name) for path, name in _PAYLOADS.items()}
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


class _Upstream(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].partition(b"?")[0]
            self._transport.write(_ANSWERS.get(path, _NOT_FOUND))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Upstream, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
