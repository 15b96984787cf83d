"""The hosted sign-in: an authorization server for MCP clients, and an OAuth client of KallyAI."""
