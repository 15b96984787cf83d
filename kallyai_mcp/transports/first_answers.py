"""Answers a client's first requests over stdio while the server is still being imported.

Nearly all of a cold start is the import of the MCP SDK, and the first requests of clients always have the same answers:
the server's name and its lists. They are in `first_answers.json`, which `python -m tests.first_answers` makes with the
real server.

A thread answers until the server is ready, or until another message comes. Then the server reads the messages that were
answered, and after them all others. `stdio.Replay` drops its answers to the first ones.

This module imports only the standard library.
"""

import json
import math
import os
import select
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CATALOG = Path(__file__).with_name("first_answers.json")
"""A JSON file: `texts` is a list of results, `versions` has the index of a text for each version and method."""

_FIRST_WAIT = 0.02
"""Seconds for which `start` answers before the import begins, which would delay the answer to the first request."""

_VERSION = "io.modelcontextprotocol/protocolVersion"
_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
_CLIENT = "io.modelcontextprotocol/clientInfo"
_UNNAMED = {"name": "", "version": ""}
_INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class FirstAnswers:
    """Answers on two descriptors, each a pipe or a socket, from `start` to `stop`.

    Attributes:
        answered: The lines that were answered, in order, without those that don't change the state of the connection.
        requests: How many of them are requests.
        received: The bytes that were read and not answered.
        unsent: The bytes of an answer that were not written yet.
    """

    def __init__(self, stdin: int, stdout: int) -> None:
        self.stdin, self.stdout = stdin, stdout
        self.answered: list[bytes] = []
        self.requests = 0
        self.received, self.unsent = bytearray(), bytearray()
        catalog = json.loads(CATALOG.read_bytes())
        self._texts: list[str] = catalog["texts"]
        self._versions: dict[str, dict[str, int]] = catalog["versions"]
        self._version: str | None = None
        self._until = math.inf
        self._stopped, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def start(self) -> None:
        """Answer for `_FIRST_WAIT` seconds in this thread, then go on in another one."""
        if self._answer(_FIRST_WAIT):
            self._thread.start()

    def stop(self) -> None:
        """Stop answering. After that, the attributes don't change."""
        os.write(self._stop, b".")
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._stopped)
        os.close(self._stop)

    def _answer(self, seconds: float = math.inf) -> bool:
        """Answer for `seconds`; returns False when the client has disconnected, or the server must answer."""
        self._until = time.monotonic() + seconds
        try:
            while self._until > time.monotonic():
                if self.unsent:
                    if self._is_ready(self.stdout, select.POLLOUT):
                        # A write of this many bytes never blocks when poll reports the descriptor as writable (POSIX).
                        del self.unsent[: os.write(self.stdout, self.unsent[: select.PIPE_BUF])]
                elif (end := self.received.find(b"\n")) >= 0:
                    line = bytes(self.received[: end + 1])
                    if (answer := self._answer_to(line)) is None:
                        return False
                    del self.received[: end + 1]
                    self.unsent += answer
                elif self._is_ready(self.stdin, select.POLLIN):
                    if not (data := os.read(self.stdin, 64 * 1024)):
                        return False
                    self.received += data
        except OSError:
            return False  # the client has disconnected, which the server will notice too
        return True

    def _is_ready(self, descriptor: int, event: int) -> bool:
        """Wait until a descriptor is ready; returns False if this was stopped, or the time is over."""
        poll = select.poll()
        poll.register(self._stopped, select.POLLIN)
        poll.register(descriptor, event)
        left = self._until - time.monotonic()
        ready = [found for found, _ in poll.poll(None if left == math.inf else max(0, left * 1000))]
        if self._stopped in ready:
            self._until = 0.0
        return bool(ready) and self._stopped not in ready

    def _answer_to(self, line: bytes) -> bytes | None:
        """The answer to a message, empty for a notification; None if the server must answer it."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if message == _INITIALIZED and self._has_handshake():
            self.answered.append(line)
            return b""
        if not isinstance(message, dict) or message.keys() - {"params"} != {"jsonrpc", "id", "method"}:
            return None
        id_, method, params = message["id"], message["method"], message.get("params", {})
        if message["jsonrpc"] != "2.0" or type(id_) not in (int, str) or type(method) is not str:
            return None
        if not isinstance(params, dict):
            return None
        version = self._version_of(method, params)
        if not isinstance(version, str) or method not in self._versions.get(version, ()):
            return None
        self._version = version
        # Only what changes the state is kept: `initialize`, and without it any request, since no `initialize` may
        # follow then (`server/line_connection.py`).
        if method == "initialize" or not self._has_handshake():
            self.answered.append(line)
            self.requests += 1
        result = self._texts[self._versions[version][method]]
        return f'{{"jsonrpc":"2.0","id":{json.dumps(id_)},"result":{result}}}\n'.encode()

    def _version_of(self, method: object, params: Mapping[str, Any]) -> object:
        """The protocol version of a request; None if the server must answer it."""
        if method == "initialize":
            is_plain = self._version is None and params.keys() == {"protocolVersion", "capabilities", "clientInfo"}
            is_known = is_plain and _describes_client(params["capabilities"], params["clientInfo"])
            return params["protocolVersion"] if is_known else None
        meta = params.get("_meta", {})
        if params.keys() - {"_meta"} or not isinstance(meta, dict) or type(meta.get("progressToken", 0)) is not int:
            return None
        given = meta.keys() - {"progressToken"}
        if self._has_handshake():
            return None if given else self._version
        is_known = given <= {_VERSION, _CAPABILITIES, _CLIENT} and self._version in (None, meta.get(_VERSION))
        is_known = is_known and _describes_client(meta.get(_CAPABILITIES), meta.get(_CLIENT, _UNNAMED))
        return meta.get(_VERSION) if is_known else None

    def _has_handshake(self) -> bool:
        return self._version is not None and "initialize" in self._versions[self._version]


def _describes_client(capabilities: object, client: object) -> bool:
    """Whether the SDK can read what a client says of itself."""
    return (
        isinstance(capabilities, dict)
        and all(isinstance(value, dict) for value in capabilities.values())
        and isinstance(client, dict)
        and isinstance(client.get("name"), str)
        and isinstance(client.get("version"), str)
    )
