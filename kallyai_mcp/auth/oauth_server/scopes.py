"""The reference's "Scopes", and which of them a tool needs."""

from collections.abc import Iterable, Mapping

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
"""All that can be asked for."""

TOOLS: Mapping[str, tuple[str, ...]] = {
    "make_call": ("calls:write", "calls:read"),  # it looks whether the call was placed before
    "get_call": ("calls:read",),
    "list_calls": ("calls:read",),
    "get_transcript": ("transcripts:read",),
    "get_calendar_event": ("calls:read",),
    "check_quota": ("subscription:read",),
    "get_billing_link": ("billing:manage",),
    "sign_in": (),
}
"""What each tool needs."""

METHODS: Mapping[str, tuple[str, ...]] = {
    "tasks/get": ("calls:read",),
    "tasks/update": ("calls:read",),
    "tasks/cancel": ("calls:read",),
    "resources/subscribe": ("calls:read",),
    "subscriptions/listen": ("calls:read",),
}
"""What other methods of the protocol need: a task is a call, and so is what can be listened to."""

RESOURCES = "kallyai://calls"
"""Where the addresses of calls begin."""

NEEDED = tuple(scope for scope in SCOPES if any(scope in needs for needs in TOOLS.values()))
"""What the tools need together: what a client gets that asks for nothing in particular."""


def of_request(method: str, params: Mapping[str, object]) -> tuple[str, ...]:
    """What a request of the protocol needs.

    Args:
        method: JSON-RPC's.
        params: Its parameters, as they came.
    """
    if method == "tools/call":
        name = params.get("name")
        return TOOLS.get(name, ()) if isinstance(name, str) else ()
    if method == "resources/read":
        uri = str(params.get("uri"))
        if not uri.startswith(RESOURCES):
            return ()
        return ("transcripts:read",) if uri.endswith("/transcript") else ("calls:read",)
    if method == "completion/complete":
        argument = params.get("argument")
        is_call = isinstance(argument, Mapping) and argument.get("name") == "call_id"
        return ("calls:read",) if is_call else ()
    return METHODS.get(method, ())


def known(text: str) -> tuple[str, ...]:
    """The scopes of a `scope` parameter (RFC 6749, section 3.3) that there are, in the reference's order.

    What there is not is left out, as that section allows: the answer says what was granted.
    """
    return ordered(text.split())


def ordered(scopes: Iterable[str]) -> tuple[str, ...]:
    """Those of `scopes` that there are, each once, in the reference's order."""
    asked = set(scopes)
    return tuple(scope for scope in SCOPES if scope in asked)
