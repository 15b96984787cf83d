"""For how long a client may keep an answer that is the same for everybody (SEP-2549)."""

from typing import Final

from mcp.server.caching import CacheableMethod, CacheHint

TTL_MS: Final = 300_000
"""Milliseconds. A server that was updated is seen by all clients after that time at the latest."""

_LISTS: tuple[CacheableMethod, ...] = (
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
)

CACHE_HINTS: Final = {method: CacheHint(TTL_MS, "public") for method in _LISTS}
"""The lists change only with the program. A resource is not among them, because calls are resources, too."""
