"""The web site of a client, with https, on a port of this machine but under another name."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
from anyio.abc import SocketStream

from kallyai_mcp.auth.oauth_server.metadata_documents import DocumentFetcher
from tests.fake_service import FakeService, RawReply
from tests.transports.certificates import Certificate

HOST = "client.example"


class Publisher(FakeService):
    """The site, with what it answers to every request."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(tls=certificate.server_context())
        self.trust = httpx2.create_ssl_context(verify=certificate.client_context())
        self.head = "200 OK\r\nContent-Type: application/json"
        self.body = b""
        self.silent = False
        self.number = 0

    def next_reply(self) -> RawReply:
        """What a connection is answered."""
        return self._answer

    async def _answer(self, stream: SocketStream) -> None:
        if self.silent:
            await anyio.sleep_forever()
        head = f"HTTP/1.1 {self.head}\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        await stream.send(head.encode() + self.body)

    @property
    def client_id(self) -> str:
        """The URL of the document."""
        return f"https://{HOST}/oauth/{self.number}.json"

    def publish(self, **metadata: Any) -> None:
        """Publish a document at a new URL."""
        self.number += 1
        self.body = json.dumps({"client_id": self.client_id, "client_name": "Published", **metadata}).encode()

    def fetcher(self, **options: Any) -> DocumentFetcher:
        """A fetcher that finds the site and trusts its certificate."""

        async def resolve(host: str) -> Sequence[str]:
            assert host == HOST
            return ["127.0.0.1"]

        given: dict[str, Any] = {"resolve": resolve, "may_connect": lambda _: True, "trust": self.trust}
        return DocumentFetcher("tests", **given | {"port": self.port} | options)


@asynccontextmanager
async def publishing(folder: Path) -> AsyncIterator[Publisher]:
    async with anyio.create_task_group() as tasks:
        site = Publisher(Certificate(folder, HOST))
        await site.start(tasks)
        yield site
        tasks.cancel_scope.cancel()
