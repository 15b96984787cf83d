"""The cards: pages that a host of MCP Apps shows to a person, with a tool's result."""
