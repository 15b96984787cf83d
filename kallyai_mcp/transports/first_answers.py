"""Answers a client's first requests over stdio while the server is still being imported.

Nearly all of a cold start is the import of the MCP SDK, and the first requests of clients always
have the same answers: the server's name and its lists. They are in `first_answers.json`, which
`python -m tests.update` makes with the real server.

A thread answers until the server is ready, or until another message comes. Then the server reads
that message and all that follow. Before them it reads the handshake that was answered; `stdio.py`
drops its answer to that.

This module imports only the standard library.
"""

import json
import os
import select
import threading
from pathlib import Path
from typing import Any

CATALOG = Path(__file__).with_name("first_answers.json")
"""A JSON file: `texts` is a list of results, `versions` has the index of a text for each version
and method.
"""

_FIRST_WAIT = 0.01
"""Seconds for which the client may be silent before the import begins, which would delay the first
answers.
"""

_INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class FirstAnswers:
    """Answers on two descriptors, from `start` to `stop`.

    Attributes:
        handshake: The lines of the handshake that were answered.
        answered_id: The id of its request; None if there was none.
        received: The bytes that were read and not answered.
    """

    def __init__(self, stdin: int, stdout: int) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.handshake: list[bytes] = []
        self.answered_id: int | str | None = None
        self.received = bytearray()
        catalog = json.loads(CATALOG.read_bytes())
        self._texts: list[str] = catalog["texts"]
        self._versions: dict[str, dict[str, int]] = catalog["versions"]
        self._version: str | None = None
        self._stopped, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def start(self) -> None:
        """Answer in this thread as long as the client sends requests, then go on in another one."""
        if self._answer(_FIRST_WAIT):
            self._thread.start()

    def stop(self) -> None:
        """Stop answering, when the client has read all answers.

        After that, the attributes don't change.
        """
        os.write(self._stop, b".")
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._stopped)
        os.close(self._stop)

    def _answer(self, longest_wait: float | None = None) -> bool:
        """Answer until the client is silent for so many seconds; returns False if the server must
        go on.
        """
        try:
            while ready := select.select([self.stdin, self._stopped], [], [], longest_wait)[0]:
                if self._stopped in ready or not (data := os.read(self.stdin, 64 * 1024)):
                    return False
                self.received += data
                if not self._answer_received():
                    return False
        except (OSError, ValueError):
            # The client has disconnected, or the descriptors are too high for `select`.
            return False
        return True

    def _answer_received(self) -> bool:
        """Answer the lines that have come; returns False if the server must do that."""
        while (end := self.received.find(b"\n") + 1) > 0:
            if (answer := self._answer_to(bytes(self.received[:end]))) is None:
                return False
            del self.received[:end]
            while answer:
                select.select([], [self.stdout], [])
                answer = answer[os.write(self.stdout, answer) :]
        return True

    def _answer_to(self, line: bytes) -> bytes | None:
        """The answer to a message, empty for a notification; None if the server must answer it."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if message == _INITIALIZED and self.handshake:
            self.handshake.append(line)
            return b""
        match message:
            case {"jsonrpc": "2.0", "id": int() | str() as id_, "method": str(method), **more} if (
                not more.keys() - {"params"}
            ):
                params = more.get("params", {})
            case _:
                return None
        if method == "initialize":
            version = self._version_to_begin(params)
        else:
            version = self._version_of(params)
        if version is None or method not in self._versions.get(version, ()):
            return None
        if method == "initialize":
            self.handshake.append(line)
            self.answered_id = id_
            self._version = version
        result = self._texts[self._versions[version][method]]
        return f'{{"jsonrpc":"2.0","id":{json.dumps(id_)},"result":{result}}}\n'.encode()

    def _version_to_begin(self, params: Any) -> str | None:
        """The protocol version of the first handshake; None if the server must answer it."""
        if self.handshake:
            return None
        match params:
            case {
                "protocolVersion": str(version),
                "capabilities": {},
                "clientInfo": {"name": str(), "version": str()},
            }:
                return version
        return None

    def _version_of(self, params: Any) -> str | None:
        """The protocol version of another request; None if the server must answer it."""
        match params:
            case {
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": str(version),
                    "io.modelcontextprotocol/clientCapabilities": {},
                },
                **others,
            } if not others:
                return None if self.handshake else version
            case {**others} if others.keys() <= {"_meta"}:
                return self._version
        return None
