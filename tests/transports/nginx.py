"""nginx with the configuration that docs/hosting.md shows."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from tests.docs.pages import fenced
from tests.processes import free_port
from tests.transports.certificates import Certificate
from tests.transports.http_server import LIMIT

NAME = "phone.example.com"
"""The host name in that configuration."""

PROGRAM = shutil.which(
    "nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin"
)
"""The path of the program; None on a machine without nginx."""

_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {block}
}}
"""


@asynccontextmanager
async def nginx(folder: Path, certificate: Certificate, *ports: int) -> AsyncIterator[str]:
    """Run nginx on a free port of 127.0.0.1, in front of servers on these two ports; yields its
    base URL.
    """
    assert PROGRAM, "the tests that need nginx are skipped where there is none"
    port = free_port()
    changes = {
        "127.0.0.1:8001": f"127.0.0.1:{ports[0]}",
        "127.0.0.1:8002": f"127.0.0.1:{ports[1]}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        f"/etc/ssl/{NAME}.pem": str(certificate.path),
        f"/etc/ssl/{NAME}.key": str(certificate.key_path),
    }
    [block] = fenced("docs/hosting.md", "nginx")
    for original, replacement in changes.items():
        assert original in block, f"the documented configuration lacks {original}"
        block = block.replace(original, replacement)
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, block=block), encoding="utf-8")
    command = [PROGRAM, "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
    process = await anyio.open_process(command, stdin=subprocess.DEVNULL, stdout=None, stderr=None)
    async with process:
        try:
            with anyio.fail_after(LIMIT):
                while not await _listens(port):
                    assert process.returncode is None, "nginx did not start"
            yield f"https://127.0.0.1:{port}"
        finally:
            if process.returncode is None:
                process.kill()


async def _listens(port: int) -> bool:
    try:
        await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
    except OSError:
        await anyio.lowlevel.checkpoint()
        return False
    return True
