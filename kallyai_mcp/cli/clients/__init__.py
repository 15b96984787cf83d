"""The MCP clients that `install` supports: where the file of each client is, and how it is edited."""
