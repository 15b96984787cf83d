"""The Skills extension (SEP-2640): how to make a phone call well, as a skill that a host loads when it is needed.

The files are those in `kallyai_mcp/skills/`, a folder for each skill. The plug-in for Claude Code ships the same ones.
"""

import hashlib
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.extension import Extension, MethodBinding, ResourceBinding
from mcp.server.mcpserver.resources import FunctionResource
from mcp.types import INVALID_PARAMS, PaginatedRequestParams, RequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from typing_extensions import override

from kallyai_mcp.server.cache_hints import TTL_MS

FOLDER = Path(__file__).parents[2] / "skills"
"""The folder of the skills; each has a `SKILL.md` and nothing else."""

_VERSIONS = frozenset(MODERN_PROTOCOL_VERSIONS)
"""The protocol versions of the extension; to a client of an earlier one, the files are ordinary resources."""


class SkillParams(RequestParams, defer_build=True):  # building it takes time, and few clients use it
    """The parameters of skills/get."""

    uri: str


_CACHED = {"ttlMs": TTL_MS, "cacheScope": "public"}

_Context = ServerRequestContext[Any, Any]


class Skills(Extension):
    """The skills in `FOLDER`. `directoryRead` is not declared: an entry names every file of its skill."""

    identifier = "io.modelcontextprotocol/skills"

    @override
    def resources(self) -> Sequence[ResourceBinding]:
        """Each `SKILL.md`, with the name and the description of its front matter."""
        return [
            ResourceBinding(
                FunctionResource(
                    uri=skill["uri"],
                    name=skill["frontmatter"]["name"],
                    title="How to make a phone call for a user",
                    description=skill["frontmatter"]["description"],
                    mime_type="text/markdown",
                    fn=partial(_text, path),
                )
            )
            for path, skill in _skills().items()
        ]

    @override
    def methods(self) -> Sequence[MethodBinding]:
        """skills/list, and skills/get, which raises `MCPError` -32602 for a URI that is no skill's."""
        return [
            MethodBinding("skills/list", PaginatedRequestParams, self._list, _VERSIONS),
            MethodBinding("skills/get", SkillParams, self._get, _VERSIONS),
        ]

    async def _list(self, _: _Context, params: PaginatedRequestParams) -> dict[str, Any]:
        if params.cursor is not None:
            raise MCPError(INVALID_PARAMS, "There is no such page: all skills are on the first one.")
        return {"skills": list(_skills().values()), **_CACHED}

    async def _get(self, _: _Context, params: SkillParams) -> dict[str, Any]:
        for skill in _skills().values():
            if skill["uri"] == params.uri:
                return {"skill": skill, **_CACHED}
        known = ", ".join(skill["uri"] for skill in _skills().values())
        raise MCPError(INVALID_PARAMS, f"There is no such skill; there is {known}.")


def _text(path: Path) -> str:
    """The file's text; its line ends are kept, because the digest is that of the bytes."""
    return path.read_bytes().decode()


@cache
def _skills() -> dict[Path, dict[str, Any]]:
    """The skills as they are sent, by the path of their `SKILL.md`."""
    return {path: _skill(path) for path in sorted(FOLDER.glob("*/SKILL.md"))}


def _skill(path: Path) -> dict[str, Any]:
    """A skill: the URI of its `SKILL.md`, the front matter of that file, and all its files."""
    content = path.read_bytes()
    uri = f"skill://{path.parent.name}/{path.name}"
    file = {"uri": uri, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
    # The front matter is YAML; ours has only plain texts of one line, which a test checks with a parser of YAML.
    lines = content.decode().split("---", 2)[1].strip().splitlines()
    return {"uri": uri, "frontmatter": dict(line.split(": ", 1) for line in lines), "resources": [file]}
