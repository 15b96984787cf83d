"""An MCP server that lets AI agents make phone calls with KallyAI's service."""

__version__ = "0.1.0"
