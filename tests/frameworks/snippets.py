"""The clients that are tested, the packages of each, and the part of its code that docs/frameworks.md shows."""

from dataclasses import dataclass
from pathlib import Path

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
    ),
    Framework("langchain", "LangChain", ("langchain[mcp]",), ("1.5.2",), "2.3.0", is_shown=False),
    Framework("pydantic_ai", "Pydantic AI", ("pydantic-ai-slim[mcp]",), ("2.68.0",), "2.3.0", is_shown=False),
    Framework("fastmcp", "fastmcp", ("fastmcp",), ("4.2.3",), "2.3.0", is_shown=False),
    Framework("plain_sdk", "MCP SDK", ("mcp",), ("2.3.0",), "2.3.0", is_shown=False),
    Framework("typescript", "TypeScript SDK 2", ("@modelcontextprotocol/client",), ("2.4.0",), None),
    Framework("typescript_1", "TypeScript SDK 1", ("@modelcontextprotocol/sdk",), ("1.32.2",), None, is_shown=False),
    Framework("ai_sdk", "AI SDK", ("@ai-sdk/mcp",), ("2.0.99",), None, has_timeout=False, is_shown=False),
)
