"""Answers lines over stdio that are no JSON-RPC message. The SDK would drop them, and the client wait for ever."""

import json
from collections.abc import AsyncGenerator, AsyncIterable

from mcp.types import INVALID_REQUEST, PARSE_ERROR, JSONRPCNotification, jsonrpc_message_adapter
from pydantic import ValidationError

from kallyai_mcp.server.successive_connections import Write


async def without_invalid(lines: AsyncIterable[str], write: Write) -> AsyncGenerator[str, None]:
    """The lines that the SDK can read. Other lines are answered with an error (JSON-RPC 2.0, section 5.1).

    A response that is not valid is not answered: the client could take the error for the response to its own request
    with the same id. The SDK gets an error in its place, so that the code that waits for the response goes on.

    Args:
        lines: The lines of the client. Blank ones are ignored.
        write: Writes a message to the client.
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
    """Whether a message that the SDK takes for a notification has an id: null, or of a type that no id may have."""
    return '"id"' in line and "id" in json.loads(line)


def _error(line: str) -> tuple[str, bool]:
    """The error for a line that is no message, with the line's id if an answer can have it.

    Also returns whether the line is a response: it has an id, and no method.
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
