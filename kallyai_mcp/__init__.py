"""The telephone for AI agents: an MCP server in front of KallyAI's phone-call service."""

__version__ = "0.1.0"
