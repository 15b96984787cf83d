# mypy: disable-error-code="import-not-found"
# fastmcp is installed only in an environment of its own; sign_in.py runs this file there.
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from fastmcp import Client


async def main(url: str) -> None:
    client = Client(url, auth="oauth")
    async for answer in answers(client):
        print(json.dumps(answer), flush=True)


async def answers(client: Client[Any]) -> AsyncIterator[str]:
    while await asyncio.to_thread(sys.stdin.readline):
        try:
            async with client:
                yield (await client.call_tool("check_quota")).content[0].text
        except Exception as error:  # noqa: BLE001 - any error is the client's answer
            yield f"{type(error).__name__}: {error}"


asyncio.run(main(sys.argv[1]))
