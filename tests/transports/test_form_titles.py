"""A form has a title in both generations of the protocol: on the wire, since clients may drop what they don't know."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from tests.transports.http_server import ACCEPT, CALL, LIMIT, initialize, running_sandbox, running_server

VERSION = "2026-07-28"
META = "io.modelcontextprotocol/"
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
FORMS: dict[str, Any] = {"elicitation": {}}
BOOKING = {"task_category": "restaurant", "task_description": "Book a table", "business_name": "Italian Bistro"}


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with running_sandbox(tmp_path) as sandbox, running_server(sandbox.settings(CONFIRM="always")) as url:
        yield url


@pytest.mark.parametrize(("arguments", "begins"), [(CALL, "Call +1 202-555-0100"), (BOOKING, "More details are")])
async def test_a_form_has_the_first_line_of_its_message_as_its_title(
    url: str, arguments: dict[str, Any], begins: str
) -> None:
    asked = [await asked_in_2026(url, arguments), await asked_in_2025(url, arguments)]

    titles = [params["requestedSchema"]["title"] for params in asked]
    assert titles == [params["message"].partition("\n")[0] for params in asked]
    assert titles[0].startswith(begins)


async def asked_in_2026(url: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the form that is asked for in the result."""
    meta = {f"{META}protocolVersion": VERSION, f"{META}clientCapabilities": FORMS}
    params = {"name": "make_call", "arguments": arguments, "_meta": meta}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    named = {"Mcp-Method": "tools/call", "Mcp-Name": "make_call", "MCP-Protocol-Version": VERSION}
    async with httpx2.AsyncClient(timeout=LIMIT) as client:
        response = await client.post(f"{url}/mcp", json=call, headers=ACCEPT | named)
    (asked,) = response.json()["result"]["inputRequests"].values()
    form: dict[str, Any] = asked["params"]
    return form


async def asked_in_2025(url: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the form that a client at /sse is asked."""
    opening = initialize()
    opening["params"]["capabilities"] = FORMS
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "make_call", "arguments": arguments}}
    with anyio.fail_after(LIMIT):
        async with httpx2.AsyncClient(timeout=LIMIT) as client, client.stream("GET", f"{url}/sse") as response:
            data = (line.removeprefix("data: ") async for line in response.aiter_lines() if line.startswith("data: "))
            address = f"{url}{await anext(data)}"
            for message in (opening, INITIALIZED, call):
                await client.post(address, json=message)
            async for line in data:
                message = json.loads(line)
                if message.get("method") == "elicitation/create":
                    params: dict[str, Any] = message["params"]
                    return params
    raise AssertionError("nobody was asked")
