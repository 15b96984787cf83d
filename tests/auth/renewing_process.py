"""A process that asks a session for a token: `HOME API_URL NOW`; says `ready`, then waits for a line."""

import sys
from pathlib import Path

import anyio
import httpx2

from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.auth.file_store import FileStore
from kallyai_mcp.auth.session import Session


async def main(*arguments: str) -> None:
    home, api_url, now = arguments
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:

        async def refresh(refresh_token: str) -> TokenGrant:
            answer = await client.post(f"{api_url}/v1/auth/refresh", json={"refresh_token": refresh_token})
            return TokenGrant.model_validate(answer.json())

        session = Session(FileStore(Path(home), api_url), refresh, Path(home) / "renew.lock", lambda: float(now))
        print("ready", flush=True)
        sys.stdin.readline()
        print(await session.access_token(), flush=True)


anyio.run(main, *sys.argv[1:])
