"""A receiver of webhooks with https, on a port of this machine but under another name."""

import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from anyio.abc import SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener
from standardwebhooks import Webhook, WebhookVerificationError

from kallyai_mcp.api.safe_fetch import SafeFetcher
from tests.transports.certificates import Certificate

HOST = "receiver.example"
URL = f"https://{HOST}/hooks/1"


@dataclass
class WebhookReceiver:
    """The receiver: it echoes each challenge whose signature is right, and keeps what it gets.

    Attributes:
        port: Its port on 127.0.0.1.
        trust: Trusts its certificate.
        secret: Verifies the signatures.
        messages: The bodies with their headers; all had right signatures.
        status: What it answers to events.
        news: Set when it gets a message.
    """

    port: int
    trust: ssl.SSLContext
    secret: str
    messages: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    status: str = "200 OK"
    news: anyio.Event = field(default_factory=anyio.Event)

    def fetcher(self) -> SafeFetcher:
        """A fetcher that finds the receiver and trusts its certificate."""

        async def resolve(host: str, _: int) -> Sequence[tuple[str, int]]:
            assert host == HOST
            return [("127.0.0.1", self.port)]

        return SafeFetcher(user_agent="tests", resolve=resolve, may_connect=lambda _: True, trust=self.trust)

    async def event(self, number: int = 1) -> tuple[dict[str, Any], dict[str, str]]:
        """The event of that number, once it is there."""
        with anyio.fail_after(30):
            while len(found := [each for each in self.messages if "eventId" in each[0]]) < number:
                self.news = anyio.Event()
                await self.news.wait()
        return found[number - 1]

    async def answer(self, stream: anyio.abc.ByteStream) -> None:
        """Serve one connection."""
        async with stream:
            buffered = BufferedByteReceiveStream(stream)
            lines = (await buffered.receive_until(b"\r\n\r\n", 64 * 1024)).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            body = await buffered.receive_exactly(int(headers["content-length"]))
            try:
                parsed = Webhook(self.secret).verify(body, headers)
            except WebhookVerificationError:
                await stream.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            self.messages.append((parsed, headers))
            self.news.set()
            is_challenge = parsed.get("type") == "verification"
            answer = json.dumps({"challenge": parsed["challenge"]}).encode() if is_challenge else b""
            head = f"HTTP/1.1 {'200 OK' if is_challenge else self.status}\r\nContent-Length: {len(answer)}\r\n"
            await stream.send(f"{head}Connection: close\r\n\r\n".encode() + answer)


@asynccontextmanager
async def receiving(folder: Path, secret: str) -> AsyncIterator[WebhookReceiver]:
    """A receiver whose certificate is kept in `folder`."""
    certificate = Certificate(folder, HOST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key_path)
    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port: int = tcp.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
    receiver = WebhookReceiver(port, certificate.client_context(), secret)
    async with TLSListener(tcp, context, standard_compatible=False) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, receiver.answer)
        yield receiver
        tasks.cancel_scope.cancel()
