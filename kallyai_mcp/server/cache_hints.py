"""How long a client may cache an answer that is the same for everybody (SEP-2549)."""

from typing import Final

from mcp.server.caching import CacheableMethod, CacheHint

TTL_MS: Final = 300_000
"""Milliseconds. After this time at the latest, all clients see an updated server."""

_LISTS: tuple[CacheableMethod, ...] = (
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
)

CACHE_HINTS: Final = {method: CacheHint(TTL_MS, "public") for method in _LISTS}
"""The methods that list what only an update changes. Not `resources/read`, because calls are resources too."""
