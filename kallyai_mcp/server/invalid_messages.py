"""Answers lines over stdio that are no JSON-RPC message. The SDK drops them, and the client would wait forever."""

import json
from collections.abc import AsyncGenerator, AsyncIterable

from mcp.types import INVALID_REQUEST, PARSE_ERROR, JSONRPCNotification, jsonrpc_message_adapter
from pydantic import ValidationError

from kallyai_mcp.server.openings import Write


async def without_invalid(lines: AsyncIterable[str], write: Write) -> AsyncGenerator[str, None]:
    """The lines that the SDK can read. The others get an error (JSON-RPC 2.0, section 5.1), but blank ones nothing.

    A response that is not valid gets none: the client could take it for that to a request of its own with the same id.
    The SDK reads it as an error, so that what waits for the response goes on.
    """
    async for line in lines:
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            is_valid = not (isinstance(message, JSONRPCNotification) and _has_id(line))
        except ValidationError:
            is_valid = False
        if is_valid:
            yield line
        elif line.strip():
            error, is_response = _error(line)
            if is_response:
                yield error
            else:
                await write(error)


def _has_id(line: str) -> bool:
    """Whether the SDK takes a request for a notification: its id is null, or of a type that no id may have."""
    return '"id"' in line and "id" in json.loads(line)


def _error(line: str) -> tuple[str, bool]:
    """The error for a line that is no message, with its id as far as it has a usable one; and whether it is a response.

    A line without a method is a response.
    """
    parsed = None
    code, words = INVALID_REQUEST, "Invalid request: not one JSON-RPC 2.0 message of MCP"
    try:
        parsed = json.loads(line)
        json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        code, words = PARSE_ERROR, "Parse error: not JSON, or text with half a surrogate pair, or nested too deeply"
    message = parsed if isinstance(parsed, dict) else {}
    id_ = message["id"] if type(message.get("id")) in (int, str) else None
    error = {"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": words}}
    return json.dumps(error) + "\n", id_ is not None and "method" not in message
