"""The MCP clients that this program can be written into: where each keeps its servers, and how its file is edited."""
