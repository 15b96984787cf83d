"""Starts the server of a client's entry, as the client does, and asks which tools it has."""

import tempfile
from typing import TextIO

import anyio

from kallyai_mcp.cli.clients import Entry, command_of, variables_of
from kallyai_mcp.cli.output import CommandError
from kallyai_mcp.tools.text.plain import one_line

_SECONDS = 60.0
"""How long the server may take until it has told its tools."""

_FIX = "`kallyai-mcp doctor` says how to fix it."


async def tool_titles(entry: Entry) -> list[str]:
    """The titles of the tools of the server that an entry of this program starts.

    The server gets the variables that a desktop program has, and those of the entry. Raises
    `CommandError` with the last line that it has printed if it does not start.
    """
    from mcp import MCPError

    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            with anyio.fail_after(_SECONDS):
                return await _titles(entry, log)
        except (MCPError, OSError, ExceptionGroup) as error:  # TimeoutError is an OSError
            log.seek(0)
            printed = [line for line in log.read().splitlines() if line.strip()]
            why = printed[-1] if printed else str(error)
            raise CommandError(f"The server does not start: {one_line(why)}. {_FIX}") from None


async def _titles(entry: Entry, log: TextIO) -> list[str]:
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    command, *arguments = command_of(entry) or ("",)
    variables = {name: str(value) for name, value in variables_of(entry).items()}
    server = StdioServerParameters(command=command, args=arguments, env=variables)
    async with Client(stdio_client(server, log)) as client:
        return [tool.title or tool.name for tool in (await client.list_tools()).tools]
