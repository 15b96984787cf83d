"""The MCP clients that `install` knows: where each keeps its servers, and how its file is edited."""
