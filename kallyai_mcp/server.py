"""The MCP server: tools from one explicit list, on whatever desk `cli` has put together."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from mcp.server.mcpserver import MCPServer, RequestStateSecurity

from kallyai_mcp import __version__
from kallyai_mcp.logs import Correlation
from kallyai_mcp.settings import LogLevel, Settings
from kallyai_mcp.tools.catalogue import tools
from kallyai_mcp.tools.desk import Desk
from kallyai_mcp.tools.tasks import CallTasks, listeners_declare_tasks
from kallyai_mcp.tools.unheard import Unheard

INSTRUCTIONS = (
    "KallyAI rings people by phone. make_call is a real call to a stranger: make sure of the number and of what the "
    "user wants first, and never place a call again because an answer is slow: get_call follows it."
)
"""What a client may show its model once, beside the tools."""


def build_server(
    open_desk: Callable[[], AbstractAsyncContextManager[Desk]],
    *,
    log_level: LogLevel = "WARNING",
    keep_days: float = Settings.keep_days,
    request_state: RequestStateSecurity | None = None,
) -> MCPServer[Desk]:
    """Build the server.

    Args:
        open_desk: Opens what the tools work with; entered when the server starts, left when it ends.
        log_level: For the log on stderr.
        keep_days: For how long the desk's ledger keeps a call, in days; clients are told so of their tasks.
        request_state: Protects what clients carry between the rounds of a call; None for a key of this process alone.
    """

    @asynccontextmanager
    async def lifespan(_: MCPServer[Desk]) -> AsyncIterator[Desk]:
        async with open_desk() as desk:
            yield desk

    return MCPServer(
        "kallyai-mcp",
        title="KallyAI telephone",
        description="The telephone for AI agents",
        instructions=INSTRUCTIONS,
        version=__version__,
        tools=list(tools()),
        lifespan=lifespan,
        extensions=[CallTasks(keep_days=keep_days)],
        middleware=[Correlation(), Unheard(), listeners_declare_tasks],
        log_level=log_level,
        request_state_security=request_state,
    )
