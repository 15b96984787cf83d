"""The OAuth protected resource metadata of the server and its MCP endpoints (RFC 9728)."""

from collections.abc import Sequence

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from kallyai_mcp.transports.access_policy import AccessPolicy

_PATH = "/.well-known/oauth-protected-resource"
"""The beginning of the path of the metadata. The rest is the path of the resource (section 3.1)."""


def metadata_url(scope: Scope, policy: AccessPolicy) -> str:
    """The URL of the metadata of the resource that a request was sent to. `/messages` belongs to `/sse`."""
    resource = "/sse" if scope["path"].startswith(("/sse", "/messages")) else "/mcp"
    return f"{base_url(scope, policy)}{_PATH}{resource}"


def metadata_routes(policy: AccessPolicy) -> Sequence[Route]:
    """The metadata documents of the base URL and of both MCP endpoints (section 3.2)."""
    scopes = {"scopes_supported": list(policy.scopes)} if policy.scopes else {}

    async def metadata(request: Request) -> Response:
        document = {
            "resource": base_url(request.scope, policy) + request.url.path.removeprefix(_PATH),
            "authorization_servers": [policy.issuer],
            "bearer_methods_supported": ["header"],
            "resource_name": "KallyAI phone",
            **scopes,
        }
        headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=3600", "Vary": "Host"}
        return JSONResponse(document, headers=headers)

    return [Route(f"{_PATH}{resource}", metadata) for resource in ("", "/mcp", "/sse")]


def base_url(scope: Scope, policy: AccessPolicy) -> str:
    """The server's base URL for the client of a request."""
    return policy.public_url or str(URL(scope=scope).replace(path="", query="", fragment="")).rstrip("/")
