"""The clients that are tested: the packages of each, its environment, and the code that docs/frameworks.md shows."""

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

_BEGIN, _END = " docs/frameworks.md shows the following lines.\n", " It shows no more.\n"


@dataclass(frozen=True)
class Framework:
    """A framework or another client, in the module `on_{name}`, with its packages, and the `mcp` that fits them.

    `mcp` is None in JavaScript. `has_timeout` says whether there is a time-out for one tool call; where there is none,
    the test aborts the call in the way that the client offers. `is_shown` says whether docs/frameworks.md has its code.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    versions: tuple[str, ...]
    mcp: str | None
    has_timeout: bool = True
    is_shown: bool = True

    @property
    def is_javascript(self) -> bool:
        """Whether it runs with node."""
        return self.mcp is None

    def needs(self, *, newest: bool = False) -> list[str]:
        """Its requirements, pinned or not."""
        if newest:
            return list(self.packages)
        pinned = [f"{package}=={version}" for package, version in zip(self.packages, self.versions, strict=True)]
        return [*pinned, f"mcp=={self.mcp}"]

    def block(self) -> str:
        """The lines of the snippet that docs/frameworks.md shows."""
        file = f"node/{self.name}/on_{self.name}.mjs" if self.is_javascript else f"on_{self.name}.py"
        source = (Path(__file__).parent / file).read_text(encoding="utf-8")
        return source.split(_BEGIN, 1)[1].split(_END, 1)[0].strip("\n/ #")


FRAMEWORKS = (
    Framework("openai_agents", "OpenAI Agents SDK", ("openai-agents",), ("0.24.0",), "2.3.0"),
    # Up to 0.3.1 the adapters install with mcp 2.x but can't be imported; 0.3.2 requires mcp 1.x.
    Framework(
        "langgraph",
        "LangGraph",
        ("langgraph", "langchain", "langchain-mcp-adapters"),
        ("1.2.24", "1.5.2", "0.3.2"),
        "1.30.0",
        is_shown=False,
    ),
    Framework("langchain", "LangChain", ("langchain[mcp]",), ("1.5.2",), "2.3.0", is_shown=False),
    Framework("pydantic_ai", "Pydantic AI", ("pydantic-ai-slim[mcp]",), ("2.68.0",), "2.3.0", is_shown=False),
    Framework("fastmcp", "fastmcp", ("fastmcp",), ("4.2.3",), "2.3.0", is_shown=False),
    Framework("plain_sdk", "MCP SDK", ("mcp",), ("2.3.0",), "2.3.0", is_shown=False),
    Framework("typescript", "TypeScript SDK 2", ("@modelcontextprotocol/client",), ("2.4.0",), None),
    Framework("typescript_1", "TypeScript SDK 1", ("@modelcontextprotocol/sdk",), ("1.32.2",), None, is_shown=False),
    Framework("ai_sdk", "AI SDK", ("@ai-sdk/mcp",), ("2.0.99",), None, has_timeout=False, is_shown=False),
)

LIMIT = 300
"""Seconds until a snippet counts as hung."""

NODE = Path(__file__).parent / "node"


class Environment:
    """An environment with the framework, the command `kallyai-mcp`, an empty home folder, and no settings.

    With `newest`, the newest versions are installed. Raises `RuntimeError` if the framework can't be installed.
    """

    def __init__(self, framework: Framework, folder: Path, *, newest: bool) -> None:
        self.framework = framework
        home = folder / "home"
        home.mkdir(parents=True)
        own = {name: value for name, value in own_environment().items() if not name.startswith("XDG_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", "")])
        self.variables = own | {"HOME": str(home), "LOCALAPPDATA": str(home), "PATH": path}
        if framework.is_javascript:
            own_folder = NODE / framework.name
            pinned = [own_folder / "package.json", own_folder / "package-lock.json"]
            packages = npm.installed(f"frameworks-{framework.name}", pinned)
            for script in (NODE / "drive.mjs", own_folder / f"on_{framework.name}.mjs"):
                shutil.copy(script, packages)
            self._drive = ["node", str(packages / "drive.mjs"), f"on_{framework.name}"]
            self.versions = ", ".join(map("@".join, zip(framework.packages, framework.versions, strict=True)))
            return
        python = new_environment(folder / "python", *framework.needs(newest=newest))
        self._drive = [python, "-m", "tests.frameworks.drive", framework.name]
        frozen = run_well(["uv", "pip", "freeze", "--python", python]).stdout.split()
        names = {package.partition("[")[0] for package in framework.packages} | {"mcp"}
        self.versions = ", ".join(line for line in frozen if line.partition("==")[0] in names)

    def drive(self, name: str, timeout: int, places: Sequence[str]) -> list[dict[str, Any]]:
        """Run `drive`; returns its `Observed` as JSON, one for each place; raises `RuntimeError` with its output."""
        quiet = {"OPENAI_AGENTS_DISABLE_TRACING": "1", "PYTHONWARNINGS": "ignore"}
        command = [*self._drive, name, str(timeout), *places]
        done = run_well(command, variables=self.variables | quiet, seconds=LIMIT)
        observed: list[dict[str, Any]] = json.loads(done.stdout.strip().rpartition("\n")[2])
        return observed
