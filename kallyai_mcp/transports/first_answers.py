"""Answers a client's first requests over stdio while the server is still being imported.

Nearly all of a cold start is the import of the MCP SDK, and the first requests of clients always have the same answers:
the server's name and its lists. They are in `first_answers.json`, which `python -m tests.first_answers` makes with the
real server.

A thread answers until the server is ready, or until a message comes with a key that this module does not know. Then the
server reads the messages that were answered, and after them all others. `Replay` drops its answers to the first ones.

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

_MOST_NESTED = 100
"""The most objects and lists in a message. The SDK's parser refuses messages that are nested deeper than about 200."""

_FIRST_WAIT = 0.02
"""Seconds for which `start` answers before the import begins, which would delay the answer to the first request."""

_OBJECT: dict[str, Any] = {"*": None}
_CAPABILITIES = {
    "roots": {"listChanged": bool},
    "sampling": {"context": _OBJECT, "tools": _OBJECT},
    "elicitation": {"form": _OBJECT, "url": _OBJECT},
    "experimental": {"*": _OBJECT},
    "extensions": {"*": _OBJECT},
}
_CLIENT = {"name": str, "version": str, "title": str, "description": str}
_INITIALIZE = {"protocolVersion": str, "capabilities": _CAPABILITIES, "clientInfo": _CLIENT}
_META = "io.modelcontextprotocol/"
_VERSION = f"{_META}protocolVersion"
_ENVELOPE = {_VERSION: str, f"{_META}clientCapabilities": _CAPABILITIES, f"{_META}clientInfo": _CLIENT}
_PROGRESS = {"progressToken": int}
_REQUEST = {"jsonrpc": str, "id": None, "method": str, "params": _OBJECT}
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
        message = _parsed(line)
        if message == _INITIALIZED and self._has_handshake():
            self.answered.append(line)
            return b""
        if message is None or not _fits(message, _REQUEST) or message.get("jsonrpc") != "2.0":
            return None
        id_, method, params = message.get("id"), message.get("method"), message.get("params", {})
        is_plain = (type(id_) is int and abs(id_) < 1 << 53) or (type(id_) is str and id_.isascii() and id_.isalnum())
        version = self._version_of(method, params)
        if not is_plain or version is None or method not in self._versions[version]:
            return None
        self._version = version
        # Only what changes the state is kept: `initialize`, and without it any request, since no `initialize` may
        # follow then (`server/successive_connections.py`).
        if method == "initialize" or not self._has_handshake():
            self.answered.append(line)
            self.requests += 1
        result = self._texts[self._versions[version][method]]
        return f'{{"jsonrpc":"2.0","id":{json.dumps(id_)},"result":{result}}}\n'.encode()

    def _version_of(self, method: str | None, params: Mapping[str, Any]) -> str | None:
        """The protocol version of a request; None if the server must answer it."""
        if method == "initialize":
            version = params.get("protocolVersion")
            has_all = _fits(params, _INITIALIZE) and len(params) == len(_INITIALIZE) and _is_named(params["clientInfo"])
            return version if has_all and self._version is None and version in self._versions else None
        if not _fits(params, {"_meta": _ENVELOPE | _PROGRESS}):
            return None
        meta = params.get("_meta", {})
        if _VERSION not in meta:
            return self._version if self._has_handshake() and _fits(meta, _PROGRESS) else None
        version, client = meta[_VERSION], meta.get(f"{_META}clientInfo")
        has_all = f"{_META}clientCapabilities" in meta and (client is None or _is_named(client))
        return version if has_all and self._version in (None, version) and version in self._versions else None

    def _has_handshake(self) -> bool:
        return self._version is not None and "initialize" in self._versions[self._version]


def _is_named(client: Mapping[str, Any]) -> bool:
    return "name" in client and "version" in client


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The message in a line; None for a line that another parser could read in another way."""
    if line.count(b"{") + line.count(b"[") > _MOST_NESTED or b"\\u" in line:
        return None
    try:
        parsed = json.loads(
            line.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse, parse_float=_refuse
        )
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("the same key twice")
    return unique


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not in any first request")


def _fits(value: object, shape: Mapping[str, Any] | type | None) -> bool:
    """Whether a value fits a shape: a mapping of keys to shapes (`*` for any key), a type, or None for any value."""
    if shape is None:
        return True
    if not isinstance(shape, Mapping):
        return type(value) is shape
    return isinstance(value, dict) and all(
        (key in shape or "*" in shape) and _fits(inner, shape[key] if key in shape else shape["*"])
        for key, inner in value.items()
    )
