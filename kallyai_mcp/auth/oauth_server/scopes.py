"""The reference's "Scopes", and the scopes that requests to the MCP server need."""

from collections.abc import Collection, Iterable, Mapping
from urllib.parse import unquote

SCOPES = (
    "calls:read",
    "calls:write",
    "sessions:read",
    "sessions:write",
    "subscription:read",
    "billing:manage",
    "transcripts:read",
    "recordings:read",
)
"""All scopes, in the reference's order."""

ToolScopes = Mapping[str, Collection[str]]
"""The scopes that each tool of the MCP server needs, by the tool's name."""

_METHODS: Mapping[str, tuple[str, ...]] = {
    "tasks/get": ("calls:read",),
    "tasks/update": ("calls:read",),
    "tasks/cancel": ("calls:read", "calls:write"),
    "resources/subscribe": ("calls:read",),
    "subscriptions/listen": ("calls:read",),
}
"""The scopes that other methods need. MCP's tasks are calls and call lists; tasks/cancel does what cancel_call does."""

_NO_CALL = ("ui://", "skill://")
"""The beginnings of the URIs of cards and skills, which have no data of an account."""


def needed_by_tools(tool_scopes: ToolScopes) -> tuple[str, ...]:
    """All scopes that the tools need: the default for a client that asks for no scope."""
    return in_order(scope for scopes in tool_scopes.values() for scope in scopes)


def needed_by_request(method: str, params: Mapping[str, object], tool_scopes: ToolScopes) -> tuple[str, ...]:
    """The scopes that a JSON-RPC request needs. Its method and its parameters are unchecked.

    A name that is not in `tool_scopes` is no tool, so the MCP server refuses it.
    """
    if method == "tools/call":
        name = params.get("name")
        return in_order(tool_scopes.get(name, ())) if isinstance(name, str) else ()
    if method == "resources/read":
        # A spelling that a parser could take for a transcript's URI counts as one, and any unknown URI as a call's.
        uri = unquote(str(params.get("uri"))).casefold()
        if uri.startswith(_NO_CALL):
            return ()
        return ("transcripts:read",) if "transcript" in uri else ("calls:read",)
    if method == "completion/complete":
        argument = params.get("argument")
        is_call_id = isinstance(argument, Mapping) and argument.get("name") == "call_id"
        return ("calls:read",) if is_call_id else ()
    return _METHODS.get(method, ())


def parse(text: str) -> tuple[str, ...]:
    """The scopes in a `scope` parameter (RFC 6749, section 3.3), in the reference's order.

    Scopes that do not exist are left out, as that section allows: the token response says what was granted.
    """
    return in_order(text.split())


def in_order(scopes: Iterable[str]) -> tuple[str, ...]:
    """The existing scopes among `scopes`, each once, in the reference's order."""
    given = set(scopes)
    return tuple(scope for scope in SCOPES if scope in given)
