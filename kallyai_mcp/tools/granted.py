"""What the token of a client allows it, beyond the use of a tool."""

from mcp.server.auth.middleware.auth_context import get_access_token


def may_read_transcripts() -> bool:
    """Whether the client may read what was said: over HTTP by the scopes of its token."""
    token = get_access_token()
    return token is None or "transcripts:read" in token.scopes
