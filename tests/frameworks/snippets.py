"""The clients that are tested: the packages of each, its environment, and the code that
docs/frameworks.md shows.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import npm
from tests.programs import new_environment, own_environment, run_well

_HERE = Path(__file__).parent
_BEGIN, _END = " docs/frameworks.md shows the following lines.\n", " It shows no more.\n"

LIMIT = 300
"""Seconds until a client counts as hung."""


@dataclass(frozen=True)
class Framework:
    """A framework or another client, in the module `on_{name}`, with its packages: those for Python
    with an `mcp`.

    `has_timeout` says whether there is a time-out for one tool call; where there is none, the test
    aborts the call in the way that the client offers. `is_shown` says whether docs/frameworks.md
    has its code.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    has_timeout: bool = True
    is_shown: bool = False

    @property
    def is_javascript(self) -> bool:
        """Whether it runs with node; a lock file has its packages."""
        return self.packages[0].startswith("@")

    def block(self) -> str:
        """The lines of the snippet that docs/frameworks.md shows."""
        source = (_HERE / f"on_{self.name}.py").read_text(encoding="utf-8")
        return source.split(_BEGIN, 1)[1].split(_END, 1)[0].strip("\n #")


FRAMEWORKS = (
    Framework(
        "openai_agents", "OpenAI Agents SDK", ("openai-agents==0.24.0", "mcp==2.3.0"), is_shown=True
    ),
    # Up to 0.3.1 the adapters install with mcp 2.x but can't be imported; 0.3.2 requires mcp 1.x.
    Framework(
        "langgraph",
        "LangGraph",
        ("langgraph==1.2.24", "langchain==1.5.2", "langchain-mcp-adapters==0.3.2", "mcp==1.30.0"),
    ),
    Framework("langchain", "LangChain", ("langchain[mcp]==1.5.2", "mcp==2.3.0")),
    Framework("pydantic_ai", "Pydantic AI", ("pydantic-ai-slim[mcp]==2.68.0", "mcp==2.3.0")),
    Framework("fastmcp", "fastmcp", ("fastmcp==4.2.3", "mcp==2.3.0")),
    Framework("plain_sdk", "MCP SDK", ("mcp==2.3.0",)),
    Framework("typescript", "TypeScript SDK 2", ("@modelcontextprotocol/client@2.4.0",)),
    Framework("typescript_1", "TypeScript SDK 1", ("@modelcontextprotocol/sdk@1.32.2",)),
    Framework("ai_sdk", "AI SDK", ("@ai-sdk/mcp@2.0.99",), has_timeout=False),
)


def node_packages(name: str, *scripts: Path) -> Path:
    """The folder with the npm packages of `node/{name}`, as its lock file pins them, and these
    scripts.
    """
    pinned = [_HERE / "node" / name / file for file in ("package.json", "package-lock.json")]
    packages = npm.installed(f"frameworks-{name}", pinned)
    for script in scripts:
        shutil.copy(script, packages)
    return packages


class Environment:
    """An environment with the framework, the command `kallyai-mcp`, an empty home folder, and no
    settings.

    Raises `RuntimeError` if the framework can't be installed.
    """

    def __init__(self, framework: Framework, folder: Path) -> None:
        home = folder / "home"
        home.mkdir(parents=True)
        own = {
            name: value for name, value in own_environment().items() if not name.startswith("XDG_")
        }
        path = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", "")])
        self.variables = own | {"HOME": str(home), "LOCALAPPDATA": str(home), "PATH": path}
        name = framework.name
        if framework.is_javascript:
            node = _HERE / "node"
            packages = node_packages(name, node / "drive.mjs", node / name / f"on_{name}.mjs")
            self._drive = ["node", str(packages / "drive.mjs"), f"on_{name}"]
        else:
            python = new_environment(folder / "python", *framework.packages)
            self._drive = [python, "-m", "tests.frameworks.drive", name]

    def drive(self, name: str, timeout: int, places: Sequence[str]) -> list[dict[str, Any]]:
        """Run `drive` in each place; returns what it saw, or how it `failed` as a whole."""
        quiet = {"OPENAI_AGENTS_DISABLE_TRACING": "1", "PYTHONWARNINGS": "ignore"}
        command = [*self._drive, name, str(timeout), *places]
        try:
            done = run_well(command, variables=self.variables | quiet, seconds=LIMIT)
        except RuntimeError as error:
            return [{"failed": str(error), "seconds": 0.0} for _ in places]
        return list(json.loads(done.stdout.strip().rpartition("\n")[2]))
