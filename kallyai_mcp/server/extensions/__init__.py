"""Extensions of MCP that the SDK does not have yet. A module can be deleted when the SDK has its extension."""
