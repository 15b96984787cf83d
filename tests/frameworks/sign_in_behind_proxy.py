"""A client over stdio of a proxy's command, for sign_in.py; each line of stdin is a call, each of stdout its answer."""

import json
import os
import sys

import anyio
from mcp import Client, StdioServerParameters


async def main(*command: str) -> None:
    program, *arguments = command
    server = StdioServerParameters(command=program, args=[*arguments, "--allow-http"], env=dict(os.environ))
    async with Client(server, read_timeout_seconds=100) as client:
        while await anyio.to_thread.run_sync(sys.stdin.readline):
            try:
                result = await client.call_tool("check_quota", {})
                answer = result.content[0].text  # type: ignore[union-attr]  # the tool answers with text
            except Exception as error:  # noqa: BLE001 - any error is the client's answer
                answer = f"{type(error).__name__}: {error}"
            print(json.dumps(answer), flush=True)


anyio.run(main, *sys.argv[1:])
