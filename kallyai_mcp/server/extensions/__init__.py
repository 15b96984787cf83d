"""Extensions of MCP that the SDK does not have yet, one file each, to be deleted when the SDK has them."""
