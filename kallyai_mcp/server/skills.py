"""The Skills extension (SEP-2640), until the SDK has it: a skill about good phone calls, which a
host loads on demand.

The plug-in for Claude Code has the same file.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.extension import Extension, MethodBinding, ResourceBinding
from mcp.server.mcpserver.resources import FunctionResource
from mcp.types import INVALID_PARAMS, PaginatedRequestParams, RequestParams
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

TTL_MS: Final = 300_000
"""Milliseconds for which a client may cache what only an update changes.

Then all clients see an updated server.
"""

_URI = "skill://phone-call/SKILL.md"
FOLDER = Path(__file__).parents[1] / "skills"
"""The folder of the skills."""

_FILE = FOLDER / "phone-call" / "SKILL.md"
_CACHED = {"ttlMs": TTL_MS, "cacheScope": "public"}
_VERSIONS = frozenset(MODERN_PROTOCOL_VERSIONS)
"""The protocol versions with the extension.

For a client of an earlier version, the file is an ordinary resource.
"""

_Context = ServerRequestContext[Any, Any]


# Building it takes time, and few clients use it.
class SkillParams(RequestParams, defer_build=True):
    """The parameters of skills/get."""

    uri: str


class Skills(Extension):
    """The one skill. `directoryRead` is not declared, because its entry lists its only file."""

    identifier = "io.modelcontextprotocol/skills"

    def resources(self) -> Sequence[ResourceBinding]:
        """The file, with the name and the description of its front matter."""
        about = _skill()["frontmatter"]
        file = FunctionResource(
            uri=_URI,
            name=about["name"],
            title="How to make a phone call for a user",
            description=about["description"],
            mime_type="text/markdown",
            # Not read_text: the digest is of these line ends.
            fn=lambda: _FILE.read_bytes().decode(),
        )
        return [ResourceBinding(file)]

    def methods(self) -> Sequence[MethodBinding]:
        """skills/list and skills/get. They raise `MCPError` -32602 for an unknown page or URI."""
        return [
            MethodBinding("skills/list", PaginatedRequestParams, self._list, _VERSIONS),
            MethodBinding("skills/get", SkillParams, self._get, _VERSIONS),
        ]

    async def _list(self, _: _Context, params: PaginatedRequestParams) -> dict[str, Any]:
        if params.cursor is not None:
            raise MCPError(
                INVALID_PARAMS, "There is no such page: all skills are on the first one."
            )
        return {"skills": [_skill()], **_CACHED}

    async def _get(self, _: _Context, params: SkillParams) -> dict[str, Any]:
        if params.uri != _URI:
            raise MCPError(INVALID_PARAMS, f"There is no such skill; there is {_URI}.")
        return {"skill": _skill(), **_CACHED}


@cache
def _skill() -> dict[str, Any]:
    """The entry of the skill: the URI of its file, the front matter of that file, and its files."""
    content = _FILE.read_bytes()
    file = {
        "uri": _URI,
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "size": len(content),
    }
    # The front matter is YAML of plain texts on one line, as a test checks.
    lines = content.decode().split("---", 2)[1].strip().splitlines()
    return {
        "uri": _URI,
        "frontmatter": dict(line.split(": ", 1) for line in lines),
        "resources": [file],
    }
