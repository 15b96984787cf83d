"""All uses of private parts of the MCP SDK (mcp 2.3), with the reason for each.

No other module may use private parts. A test for each function here fails when the SDK changes that
part.
"""

from typing import Any

import mcp.server.mcpserver.server as sdk_server
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.mcpserver import MCPServer

from kallyai_mcp.tools.context import AppContext


def skip_log_of_sdk() -> None:
    """Keep each `MCPServer` from setting up the log: `logs` does, and the SDK's handler imports
    `rich`, which costs a server 20 ms of its start.
    """
    vars(sdk_server)["configure_logging"] = _set_up_no_log


def _set_up_no_log(_: str) -> None:
    pass


def lowlevel_server(server: MCPServer[AppContext]) -> Server[AppContext]:
    """The server that the SDK's loops run. `MCPServer.run_stdio_async` takes no streams."""
    return server._lowlevel_server  # noqa: SLF001


def connection_of(ctx: ServerRequestContext[Any, Any]) -> object:
    """The connection of a message: the same object for all messages of one connection.

    A notification that cancels a request has the request's id, which is unique only in one
    connection. The SDK makes a session object for each message, and all of one connection share
    only this private part.
    """
    return ctx.session._connection  # noqa: SLF001
