"""The MCP server: tools, resources and prompts from explicit lists, on whatever desk `cli` has put together."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from mcp.server.apps import APP_MIME_TYPE, Apps
from mcp.server.mcpserver import MCPServer, RequestStateSecurity
from mcp.server.mcpserver.resources import FunctionResource
from mcp.types import CompleteRequestParams, SubscribeRequestParams, UnsubscribeRequestParams

from kallyai_mcp import __version__
from kallyai_mcp.cards.pages import CALL_CARD_URI, QUOTA_CARD_URI, call_card, quota_card
from kallyai_mcp.logs import Correlation
from kallyai_mcp.settings import LogLevel, Settings
from kallyai_mcp.tools.call_tool import CallTool
from kallyai_mcp.tools.catalog import tools
from kallyai_mcp.tools.completions import complete
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.late_cancellation import LateCancellationMiddleware
from kallyai_mcp.tools.prompts import known_prompts, prompts
from kallyai_mcp.tools.resources import newest_calls, templates, with_app_context
from kallyai_mcp.tools.subscriptions import Subscriptions, listened
from kallyai_mcp.tools.tasks import CallTasks, listeners_declare_tasks

INSTRUCTIONS = (
    "KallyAI rings people by phone. make_call is a real call to a stranger: make sure of the number and of what the "
    "user wants first, and never place a call again because an answer is slow: get_call follows it."
)
"""What a client may show its model once, beside the tools."""

CARDS = {
    "make_call": CALL_CARD_URI,
    "get_call": CALL_CARD_URI,
    "get_transcript": CALL_CARD_URI,
    "check_quota": QUOTA_CARD_URI,
}
"""The tools whose answers a host of MCP Apps shows a person, and by which card."""


def build_server(
    open_app_context: Callable[[], AbstractAsyncContextManager[AppContext]],
    *,
    log_level: LogLevel = "WARNING",
    keep_days: float = Settings.keep_days,
    request_state: RequestStateSecurity | None = None,
) -> MCPServer[AppContext]:
    """Build the server.

    Args:
        open_app_context: Opens what the tools work with; entered when the server starts, left when it ends.
        log_level: For the log on stderr.
        keep_days: For how long the desk's ledger keeps a call, in days; clients are told so of their tasks.
        request_state: Protects what clients carry between the rounds of a call; None for a key of this process alone.
    """

    @asynccontextmanager
    async def lifespan(_: MCPServer[AppContext]) -> AsyncIterator[AppContext]:
        async with open_app_context() as app_context, listened(app_context) as there:
            yield there

    updates = Subscriptions()
    server: MCPServer[AppContext] = MCPServer(
        "kallyai-mcp",
        title="KallyAI phone",
        description="The phone for AI agents",
        instructions=INSTRUCTIONS,
        version=__version__,
        tools=[_with_card(tool) for tool in tools()],
        resources=[newest_calls()],
        lifespan=lifespan,
        extensions=[CallTasks(keep_days=keep_days), _cards()],
        middleware=[
            Correlation(),
            LateCancellationMiddleware(),
            listeners_declare_tasks,
            updates,
            with_app_context,
            known_prompts,
        ],
        subscriptions=updates,
        log_level=log_level,
        request_state_security=request_state,
    )
    for each in templates():
        server.resource(
            each.uri_template,
            name=each.name,
            title=each.title,
            description=each.description,
            mime_type=each.mime_type,
        )(each.read)
    for prompt in prompts():
        server.add_prompt(prompt)
    # The SDK's public way to a handler gives it no context, and it has none to those of the 2025 era; its migration
    # guide ("Registering lowlevel handlers from `MCPServer`") names this one until it has.
    lowlevel = server._lowlevel_server  # noqa: SLF001 - see above
    lowlevel.add_request_handler("completion/complete", CompleteRequestParams, complete)
    lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, updates.subscribe_resource)
    lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, updates.unsubscribe_resource)
    return server


def _with_card(tool: CallTool) -> CallTool:
    """`tool`, bound to its card as MCP Apps has it (SEP-1865, "Tool Metadata")."""
    if tool.name in CARDS:
        tool.meta = {"ui": {"resourceUri": CARDS[tool.name]}}
    return tool


def _cards() -> Apps:
    """The extension with the cards; a card is put together when it is first read."""
    apps = Apps()
    bordered = {"ui": {"prefersBorder": True}}
    cards = (
        (CALL_CARD_URI, "call_card", "Call card", "Shows a person their call", call_card),
        (QUOTA_CARD_URI, "quota_card", "Quota card", "Shows a person what is left", quota_card),
    )
    for uri, name, title, description, page in cards:
        apps.add_resource(
            FunctionResource(
                uri=uri,
                name=name,
                title=title,
                description=description,
                mime_type=APP_MIME_TYPE,
                fn=page,
                meta=bordered,
            )
        )
    return apps
