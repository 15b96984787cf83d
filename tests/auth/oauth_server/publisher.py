"""The web site of a client, with https, on a port of this machine but under another name."""

import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from kallyai_mcp.auth.oauth_server.metadata_documents import DocumentFetcher

HOST = "client.example"


@dataclass
class Publisher:
    """The site: its answer, and the requests that it got."""

    port: int
    trust: ssl.SSLContext
    body: bytes = b""
    head: str = "200 OK\r\nContent-Type: application/json"
    silent: bool = False
    requests: list[str] = field(default_factory=list)
    number: int = 0

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
    certificate, key = make_certificate(folder, HOST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port: int = tcp.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
    site = Publisher(port, httpx2.create_ssl_context(verify=ssl.create_default_context(cafile=str(certificate))))

    async def answer(stream: anyio.abc.AnyByteStream) -> None:
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request:
                request += await stream.receive()
            site.requests.append(request.decode())
            if site.silent:
                await anyio.sleep_forever()
            head = f"HTTP/1.1 {site.head}\r\nContent-Length: {len(site.body)}\r\nConnection: close\r\n\r\n"
            try:
                await stream.send(head.encode() + site.body)
            except (anyio.BrokenResourceError, ssl.SSLError):
                return  # the fetcher has stopped reading

    listener = TLSListener(tcp, context, standard_compatible=False)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        yield site
        tasks.cancel_scope.cancel()


def make_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A certificate for `host`, which signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    where = folder / "certificate.pem", folder / "key.pem"
    where[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    where[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return where
