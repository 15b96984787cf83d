"""Access to the endpoints that need no token: only for clients on this machine, and only by a name
of this machine.
"""

from ipaddress import IPv6Address, ip_address
from typing import Any

from fastapi import Request

from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.schemas import ErrorResponse

REMOTE_CLIENT: dict[int | str, dict[str, Any]] = {
    403: {
        "model": ErrorResponse,
        "description": "The client is not on this machine; clients on it need no token",
    }
}
"""What `only_from_this_machine` adds to the documented responses of a router."""


def _is_this_machine(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


async def only_from_this_machine(request: Request) -> None:
    """Refuse a request from another machine, or to a host name that is not this machine's; a
    dependency of FastAPI.
    """
    message = "This endpoint is for programs on the sandbox's machine"
    if request.client is None or not _is_this_machine(request.client.host):
        raise ApiError(403, "forbidden", message, "The client is not on it")
    host = request.url.hostname or ""
    # DNS rebinding: a web page's own name resolves to this machine. No name server resolves these
    # (RFC 6761).
    is_reserved = host.rpartition(".")[2] in ("localhost", "test", "invalid")
    if not is_reserved and not _is_this_machine(host):
        raise ApiError(403, "forbidden", message, "Use a name of it, such as localhost")
