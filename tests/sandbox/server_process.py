"""Serve a sandbox in a separate process: `python -m tests.sandbox.server_process DATA SPEED`.

It prints the base URL once it is up.
"""

import sys
from pathlib import Path

import anyio

from kallyai_mcp.sandbox.serve import serve


async def main() -> None:
    """Serve on any free port."""
    data, speed = Path(sys.argv[1]), float(sys.argv[2])
    await serve(data=data, speed=speed, ready=lambda url: print(url, flush=True))


anyio.run(main)
