"""Checks that the API client and the tools handle any response of the service: a right result or a typed error."""

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketStream
from hypothesis import strategies as st
from pydantic import BaseModel

from kallyai_mcp.api.client import KallyAI, Timeouts
from kallyai_mcp.api.errors import KallyAIError, NotConnectedError
from tests.agent import BISTRO, open_agent, settings_in
from tests.api.raw_server import SUBMISSION, TOKEN, client_and_server
from tests.fake_service import FakeService, ReceivedRequest, answer
from tests.fuzz.payloads import CALL_ID, replies
from tests.fuzz.tool_checks import JARGON, LIMIT, NOW, CrashRecorder, assert_all_readable, assert_readable
from tests.sandbox.manual_clock import ManualClock

_REFRESH_TOKEN = "eyJhbGciOiJIUzI1NiJ9.refresh-token.c2lnbmF0dXJl"
_SECRETS = (TOKEN, TOKEN.rpartition(".")[0].rpartition(".")[2], _REFRESH_TOKEN)

METHODS: Mapping[str, tuple[str, Callable[[KallyAI], Awaitable[Any]]]] = {
    "create_call": ("call", lambda client: client.create_call(SUBMISSION)),
    "list_calls": ("list", lambda client: client.list_calls()),
    "get_call": ("call", lambda client: client.get_call(CALL_ID)),
    "get_transcript": ("transcript", lambda client: client.get_transcript(CALL_ID)),
    "get_calendar": ("calendar", lambda client: client.get_calendar(CALL_ID)),
    "get_subscription": ("subscription", lambda client: client.get_subscription()),
    "get_statistics": ("statistics", lambda client: client.get_statistics()),
    "get_billing_portal": ("portal", lambda client: client.get_billing_portal()),
    "refresh": ("token", lambda client: client.refresh(_REFRESH_TOKEN)),
}
"""Each method of the client: the name of the payload in its response, and a call of it."""

_TIMEOUTS = Timeouts(connect=5, read=0.2, call=0.2, rest=10)


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draws a method of the client, and the response to it."""
    method = draw(st.sampled_from([*METHODS]))
    return method, draw(replies(METHODS[method][0]))


def check_client(method: str, reply: bytes) -> str:
    """Call a method of the client, and check its result or its error.

    Returns:
        The class of the result or of the error.

    Raises:
        AssertionError: The error is not truthful, or shows a secret.
    """
    return anyio.run(_check_client, method, reply)


async def _check_client(method: str, reply: bytes) -> str:
    async with client_and_server(*[reply] * 9, seconds=LIMIT, timeouts=_TIMEOUTS) as (client, server):
        try:
            got = await METHODS[method][1](client)
        except KallyAIError as error:
            _assert_no_secret(f"{error} {error!r} {error.reason} {error.code} {error.correlation_id}")
            _assert_truthful(error, server)
            return type(error).__name__
        assert server.requests
        if isinstance(got, BaseModel):
            got.model_dump_json()
            repr(got).encode("utf-8")
        return type(got).__name__


def _assert_no_secret(text: str) -> None:
    assert not any(secret in text for secret in _SECRETS), "a token in an error"
    assert "\n" not in text, "an error of several lines"


def _assert_truthful(error: KallyAIError, server: FakeService) -> None:
    claims_not_sent = isinstance(error, NotConnectedError)
    assert not (claims_not_sent and server.requests), f"it claims that nothing was sent: {error}"


def _payload(request: ReceivedRequest) -> str:
    path = request.target.partition("?")[0]
    if path == "/v1/calls":
        return "call" if request.method == "POST" else "list"
    ends = {"transcript": "transcript", "calendar.ics": "calendar", "billing-portal": "portal"}
    end = path.rpartition("/")[2]
    return ends.get(end, end if end in ("subscription", "statistics") else "call")


TOOLS: Mapping[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "make_call": (BISTRO | {"wait_seconds": 0.3}, ("call", "list")),
    "get_call": ({"call_id": CALL_ID}, ("call",)),
    "list_calls": ({}, ("list",)),
    "get_transcript": ({"call_id": CALL_ID}, ("call", "transcript")),
    "get_calendar_event": ({"call_id": CALL_ID}, ("calendar",)),
    "check_quota": ({"billing_link": True}, ("statistics", "subscription", "portal")),
}
"""The tools, each with valid arguments and the payloads that it reads."""


@st.composite
def services(draw: st.DrawFn) -> tuple[str, Mapping[str, bytes]]:
    """Draws a tool, and the service's responses to all that it requests."""
    tool = draw(st.sampled_from([*TOOLS]))
    return tool, {name: draw(replies(name, raw=False)) for name in TOOLS[tool][1]}


def check_tool_on_service(tool: str, given: Mapping[str, bytes], mode: str) -> str:
    """Use a tool on a service with these responses, and check its result.

    Args:
        tool: The tool's name.
        given: The responses, by the name of their payload; all other requests get 404.
        mode: The MCP client's mode.

    Returns:
        `failed` or `done`.

    Raises:
        AssertionError: The result shows a token, a library's message, or characters that no terminal should get.
    """
    with CrashRecorder():
        return anyio.run(_check_tool_on_service, tool, given, mode)


async def _check_tool_on_service(tool: str, given: Mapping[str, bytes], mode: str) -> str:
    not_found = answer({"error": {"code": "not_found"}}, 404)

    async def reply(stream: SocketStream) -> None:
        await stream.send(given.get(_payload(server.requests[-1]), not_found))

    server = FakeService(*[reply] * 99)
    with tempfile.TemporaryDirectory() as home, anyio.fail_after(LIMIT):
        async with anyio.create_task_group() as tasks:
            await server.start(tasks)
            settings = settings_in(Path(home), API_URL=server.url, ACCESS_TOKEN=TOKEN)
            async with open_agent(settings, mode=mode, clock=ManualClock(NOW)) as agent:
                used = await agent.use(tool, TOOLS[tool][0])
            tasks.cancel_scope.cancel()
    assert used.text.strip(), "an empty answer"
    assert_readable(used.text)
    assert_all_readable(used.data)
    used.result.model_dump_json()
    _assert_no_secret(" ".join(used.text.splitlines()) if used.is_error else "")
    if used.is_error:
        found = JARGON.search(used.text.partition("KallyAI:")[0])
        assert found is None, f"jargon: {used.text[:300]!r}"
        return "failed"
    return "done"
