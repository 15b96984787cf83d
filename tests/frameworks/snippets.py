"""The frameworks, the packages of each, and the part of its snippet that docs/frameworks.md shows."""

from dataclasses import dataclass
from pathlib import Path

_BEGIN, _END = "# docs/frameworks.md shows the following lines.\n", "# It shows no more.\n"


@dataclass(frozen=True)
class Framework:
    """A framework with a snippet.

    Attributes:
        name: The name of the snippet's module, without `on_`.
        title: The framework's name for readers.
        packages: The packages that a user installs, the framework first.
        versions: The versions of these packages in CI.
        mcp: The version of `mcp` that fits them.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    versions: tuple[str, ...]
    mcp: str

    def needs(self, *, newest: bool = False) -> list[str]:
        """Its requirements, pinned or not."""
        if newest:
            return list(self.packages)
        pinned = [f"{package}=={version}" for package, version in zip(self.packages, self.versions, strict=True)]
        return [*pinned, f"mcp=={self.mcp}"]

    def block(self) -> str:
        """The lines of the snippet that docs/frameworks.md shows."""
        source = (Path(__file__).parent / f"on_{self.name}.py").read_text(encoding="utf-8")
        return source.split(_BEGIN, 1)[1].split(_END, 1)[0].strip("\n")


FRAMEWORKS = (
    Framework("openai_agents", "OpenAI Agents SDK", ("openai-agents",), ("0.24.0",), "2.3.0"),
    # Up to 0.3.1 the adapters install with mcp 2.x but can't be imported; 0.3.2 requires mcp 1.x.
    Framework(
        "langgraph",
        "LangGraph",
        ("langgraph", "langchain", "langchain-mcp-adapters"),
        ("1.2.24", "1.5.2", "0.3.2"),
        "1.30.0",
    ),
    Framework("pydantic_ai", "Pydantic AI", ("pydantic-ai-slim[mcp]",), ("2.68.0",), "2.3.0"),
    Framework("plain_sdk", "MCP SDK", ("mcp",), ("2.3.0",), "2.3.0"),
)
