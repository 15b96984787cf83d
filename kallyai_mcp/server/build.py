"""Builds the MCP server from explicit lists of tools, resources, prompts, and extensions."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

from mcp.server.apps import Apps
from mcp.server.caching import CacheHint
from mcp.server.extension import Extension
from mcp.server.mcpserver import MCPServer, RequestStateSecurity
from mcp.server.mcpserver.resources import FunctionResource

from kallyai_mcp import __version__
from kallyai_mcp.cards.pages import call_card, quota_card
from kallyai_mcp.server.middleware import middleware
from kallyai_mcp.server.sdk_internals import lowlevel_server, skip_log_of_sdk
from kallyai_mcp.server.skills import TTL_MS, Skills
from kallyai_mcp.settings import WAIT_SECONDS
from kallyai_mcp.tools.catalog import CALL_CARD, QUOTA_CARD, tools
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.prompts import prompts
from kallyai_mcp.tools.resources import add_templates
from kallyai_mcp.tools.tasks import CallTasks

INSTRUCTIONS = (
    "KallyAI calls people on the phone. make_call places a real call: make sure of the number and "
    "of what the user "
    "wants first, and never place a call again because an answer is slow: get_call follows it."
)
"""The instructions that a client gets when it connects, and may show to its model."""

READ_ONLY_INSTRUCTIONS = (
    "KallyAI calls people on the phone. Here no call can be placed or canceled: the tools show "
    "calls that were placed "
    "elsewhere."
)
"""The instructions of a read-only server."""

_LISTS = CacheHint(TTL_MS, "public")
"""How long a client may cache an answer that only an update changes (SEP-2549).

`resources/read` has none: calls, too, are resources.
"""


def build_server(
    open_app_context: Callable[[], AbstractAsyncContextManager[AppContext]],
    *,
    read_only: bool = False,
    sandbox: bool = False,
    wait_seconds: float = WAIT_SECONDS,
    request_state: RequestStateSecurity | None = None,
) -> MCPServer[AppContext]:
    """Build the server.

    The context of `open_app_context` is open as long as the server runs. With `read_only`, all that
    places or cancels calls is left out: these tools, prompts, tasks, and skills. With `sandbox`,
    KallyAI is a sandbox, and the cards say that nobody is called. `wait_seconds` is how
    long a tool waits for the call that it places, by the settings. `request_state` protects the
    state that a client returns with the user's answer (multi-round requests); None for a key that
    only this process has.
    """
    extensions: list[Extension] = [_cards(read_only=read_only, sandbox=sandbox)]
    if not read_only:
        extensions = [CallTasks(), *extensions, Skills()]
    skip_log_of_sdk()
    server: MCPServer[AppContext] = MCPServer(
        "kallyai-mcp",
        title="KallyAI phone",
        description="Has KallyAI call people by phone and brings back what was agreed.",
        instructions=READ_ONLY_INSTRUCTIONS if read_only else INSTRUCTIONS,
        version=__version__,
        tools=[*tools(read_only=read_only, wait_seconds=wait_seconds)],
        lifespan=lambda _: open_app_context(),
        extensions=extensions,
        middleware=middleware(),
        cache_hints={
            "server/discover": _LISTS,
            "tools/list": _LISTS,
            "prompts/list": _LISTS,
            "resources/list": _LISTS,
            "resources/templates/list": _LISTS,
        },
        request_state_security=request_state,
    )
    # No argument is to be repeated in a header. With the schemas, the SDK would search them for
    # such ones at each call.
    lowlevel_server(server).get_tool_input_schema = lambda _: None
    add_templates(server)
    for prompt in () if read_only else prompts():
        server.add_prompt(prompt)
    return server


def _cards(*, read_only: bool, sandbox: bool) -> Apps:
    """The MCP Apps extension with the cards. A card is built when it is first read."""
    apps = Apps()
    meta = {"ui": {"prefersBorder": True}}
    for uri, name, title, description, page in (
        (
            CALL_CARD,
            "call_card",
            "Call card",
            "Shows a person their call",
            partial(call_card, read_only=read_only, sandbox=sandbox),
        ),
        (
            QUOTA_CARD,
            "quota_card",
            "Quota card",
            "Shows a person what is left",
            partial(quota_card, sandbox=sandbox),
        ),
    ):
        apps.add_resource(
            FunctionResource(
                uri=uri, name=name, title=title, description=description, fn=page, meta=meta
            )
        )
    return apps
