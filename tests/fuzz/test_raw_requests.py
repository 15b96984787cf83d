"""Requests that no client of the SDK sends: NaN, infinity, lone surrogates, deep nesting, and great
length.
"""

import json
from pathlib import Path

import httpx2

from tests.fuzz.tool_checks import assert_clear, assert_readable
from tests.transports.http_server import ACCEPT, DEFAULT_OPTIONS, running_sandbox, running_server

HEADERS = ACCEPT | {"Content-Type": "application/json", "MCP-Protocol-Version": "2025-11-25"}
CALL = b'"task_category": "general", "task_description": "Ask", "respondent_phone": "+12025550100"'


def make_call_message(arguments: bytes) -> bytes:
    """A `tools/call` of make_call with valid arguments and then `arguments`."""
    return (
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "make_call", '
        b'"arguments": {%s, %s}}}'
    ) % (CALL, arguments)


def tool_error(response: httpx2.Response) -> str:
    """The text of the tool error in `response`."""
    (data,) = [
        line.removeprefix("data: ")
        for line in response.text.splitlines()
        if line.startswith("data: {")
    ]
    answered = json.loads(data)["result"]
    assert answered["isError"]
    text: str = answered["content"][0]["text"]
    return text


WRONG = {
    b'"wait_seconds": NaN': "wait_seconds: expected 0 to 1800; got NaN.",
    b'"party_size": 1e999': "party_size: expected 1 to 50; got Infinity.",
    b'"party_size": ' + b"9" * 400: "got 99999999999999999999999… [cut]",
    b'"user_name": '
    + b"[" * 150
    + b"]" * 150: "user_name: expected string: For the booking; got a list of 1.",
    b'"\\u0000": 1': '"": make_call has no such argument;',
}
"""Arguments that are JSON, with a line of the error."""

UNREADABLE = (
    b'"user_name": "\\ud83d"',
    b'"user_name": "\xff"',
    b'"party_size": ' + b"9" * 5_000,
    b'"user_name": ' + b"[" * 1_000 + b"]" * 1_000,
    b'"user_name": "' + b"x" * 1_000_000 + b'"',
    b'"user_name": ' + b"[" * 300_000,
)
"""Arguments that are not JSON, or too deep or too long to be read."""


async def test_no_invalid_request_crashes_or_calls(tmp_path: Path) -> None:
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings()) as url,
        DEFAULT_OPTIONS.client() as client,
    ):
        for arguments, line in WRONG.items():
            text = tool_error(
                await client.post(
                    f"{url}/mcp", content=make_call_message(arguments), headers=HEADERS
                )
            )
            assert line in text
            assert_readable(text)
            assert_clear(text)
        for arguments in UNREADABLE:
            response = await client.post(
                f"{url}/mcp", content=make_call_message(arguments), headers=HEADERS
            )
            assert response.status_code in {400, 413}
            assert_clear(response.text)

        assert await sandbox.calls() == []
        response = await client.post(
            f"{url}/mcp", content=make_call_message(b'"party_size": 4'), headers=HEADERS
        )

        assert '"isError":false' in response.text
        assert len(await sandbox.wait_for_calls()) == 1
