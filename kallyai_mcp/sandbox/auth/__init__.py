"""The sandbox's sign-in: the reference's "Authentication", with sandbox accounts.

`router` has the endpoints, `AUTH_SCHEMA` creates their tables, `require` protects the other endpoints, and
`issue_tokens` signs an account in without a browser. All use the database and the clock of `app.state.sandbox`
(see `context.SandboxState`).
"""

from fastapi import APIRouter

from kallyai_mcp.sandbox.auth import browser_endpoints, identity_providers, token_endpoints
from kallyai_mcp.sandbox.auth.access_tokens import require
from kallyai_mcp.sandbox.auth.context import no_store
from kallyai_mcp.sandbox.auth.tables import AUTH_SCHEMA
from kallyai_mcp.sandbox.auth.token_responses import issue_tokens

router = APIRouter(dependencies=[no_store])
router.include_router(browser_endpoints.router)
router.include_router(token_endpoints.router)
router.include_router(identity_providers.router)

__all__ = ["AUTH_SCHEMA", "issue_tokens", "require", "router"]
