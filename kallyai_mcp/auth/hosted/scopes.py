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
}
"""What other methods of the protocol need: a task is a call."""

NEEDED = tuple(scope for scope in SCOPES if any(scope in needs for needs in TOOLS.values()))
"""What the tools need together: what a client gets that asks for nothing in particular."""


def known(text: str) -> tuple[str, ...]:
    """The scopes of a `scope` parameter (RFC 6749, section 3.3) that there are, in the reference's order.

    What there is not is left out, as that section allows: the answer says what was granted.
    """
    return ordered(text.split())


def ordered(scopes: Iterable[str]) -> tuple[str, ...]:
    """Those of `scopes` that there are, each once, in the reference's order."""
    asked = set(scopes)
    return tuple(scope for scope in SCOPES if scope in asked)
