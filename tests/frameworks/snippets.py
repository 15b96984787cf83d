"""The snippets, what they need, and the part of each that the README shows."""

from dataclasses import dataclass
from pathlib import Path

_BEGIN, _END = "# The README shows what follows.\n", "# The README shows no more.\n"


@dataclass(frozen=True)
class Framework:
    """A framework that a snippet is for.

    Attributes:
        name: As its snippet's module is called, without `on_`.
        title: As people call it.
        packages: What a user installs, the framework itself first.
        versions: Of these packages, those that CI runs the snippet with.
        mcp: The version of `mcp` that goes with them.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    versions: tuple[str, ...]
    mcp: str

    def needs(self, *, newest: bool = False) -> list[str]:
        """Its requirements: pinned, or whatever a user gets today."""
        if newest:
            return list(self.packages)
        pinned = [f"{package}=={version}" for package, version in zip(self.packages, self.versions, strict=True)]
        return [*pinned, f"mcp=={self.mcp}"]

    def block(self) -> str:
        """What the README shows of the snippet."""
        source = (Path(__file__).parent / f"on_{self.name}.py").read_text(encoding="utf-8")
        return source.split(_BEGIN, 1)[1].split(_END, 1)[0].strip("\n")


FRAMEWORKS = (
    Framework("openai_agents", "OpenAI Agents SDK", ("openai-agents",), ("0.24.0",), "2.3.0"),
    # Up to 0.3.1 the adapters install beside mcp 2.x and can't be imported there; 0.3.2 asks for mcp 1.x.
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
