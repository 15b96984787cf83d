# mypy: disable-error-code="import-not-found"
# A client for sign_in.py: each line of stdin is a call, each of stdout its answer. With a URL it is
# fastmcp's, which is installed only in an environment of its own, and connects for each call; with
# a command it is the SDK's over stdio.
import json
import os
import sys
from contextlib import AsyncExitStack, nullcontext
from typing import Any

import anyio


async def main(*command: str) -> None:
    where, *arguments = command
    client: Any
    async with AsyncExitStack() as stack:
        if arguments:
            from mcp import Client, StdioServerParameters

            server = StdioServerParameters(command=where, args=arguments, env=dict(os.environ))
            opened = await stack.enter_async_context(Client(server, read_timeout_seconds=100))
            client = nullcontext(opened)
        else:
            import fastmcp

            client = fastmcp.Client(where, auth="oauth")
        while await anyio.to_thread.run_sync(sys.stdin.readline):
            try:
                async with client as connected:
                    answer = (await connected.call_tool("check_quota", {})).content[0].text
            except Exception as error:  # noqa: BLE001 - any error is the client's answer
                answer = f"{type(error).__name__}: {error}"
            print(json.dumps(answer), flush=True)


anyio.run(main, *sys.argv[1:])
