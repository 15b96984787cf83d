"""A process that asks a session for a token: `HOME LOCK_PATH API_URL NOW`; says `ready`, then waits for a line."""

import sys
from pathlib import Path

import anyio
import httpx2

from kallyai_mcp.api.errors import UnauthorizedError
from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.auth.file_store import FileStore
from kallyai_mcp.auth.session import Session


async def main(*arguments: str) -> None:
    home, lock_path, api_url, now = arguments
    async with httpx2.AsyncClient(trust_env=False) as client:

        async def refresh(refresh_token: str) -> TokenGrant:
            answer = await client.post(f"{api_url}/v1/auth/refresh", json={"refresh_token": refresh_token})
            if answer.status_code == 401:
                raise UnauthorizedError("refused", status=401)
            return TokenGrant.model_validate(answer.json())

        session = Session(FileStore(Path(home), api_url), refresh, Path(lock_path), lambda: float(now))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        sys.stdout.write(await session.access_token() + "\n")


anyio.run(main, *sys.argv[1:])
