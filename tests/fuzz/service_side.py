"""The service's side: whatever it answers, our client has a typed error or a right answer, and so has the agent."""

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketStream
from hypothesis import strategies as st
from pydantic import BaseModel

from kallyai_mcp.api.client import KallyAI, Timeouts
from kallyai_mcp.api.errors import KallyAIError, NotConnectedError
from tests.agent import BISTRO, agent_on, settings_in
from tests.api.raw_server import SUBMISSION, TOKEN, RawServer, Seen, answer, talking
from tests.fuzz.agent_side import JARGON, LIMIT, NOW, Crashes, assert_all_readable, assert_readable
from tests.fuzz.payloads import replies
from tests.sandbox.manual_clock import ManualClock

_REFRESH_TOKEN = "eyJhbGciOiJIUzI1NiJ9.refresh-token.c2lnbmF0dXJl"
_SECRETS = (TOKEN, TOKEN.rpartition(".")[0].rpartition(".")[2], _REFRESH_TOKEN)

ASKED: Mapping[str, tuple[str, Callable[[KallyAI], Awaitable[Any]]]] = {
    "create_call": ("call", lambda client: client.create_call(SUBMISSION)),
    "list_calls": ("list", lambda client: client.list_calls()),
    "get_call": ("call", lambda client: client.get_call("c")),
    "get_transcript": ("transcript", lambda client: client.get_transcript("c")),
    "get_calendar": ("calendar", lambda client: client.get_calendar("c")),
    "get_subscription": ("subscription", lambda client: client.get_subscription()),
    "get_statistics": ("statistics", lambda client: client.get_statistics()),
    "get_billing_portal": ("portal", lambda client: client.get_billing_portal()),
    "refresh": ("token", lambda client: client.refresh(_REFRESH_TOKEN)),
}
"""Each method of the client, and the payload that answers it."""

_TIMEOUTS = Timeouts(connect=5, write=5, pool=5, read=0.2, call=0.2)


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[str, bytes]:
    """A method of the client, and the response that it gets."""
    method = draw(st.sampled_from([*ASKED]))
    return method, draw(replies(ASKED[method][0]))


def hold_client_to_the_law(method: str, reply: bytes) -> str:
    """Ask and be answered.

    Returns:
        The kind of what came: a model's name, or an error's.

    Raises:
        AssertionError: It was no answer of ours, or held what was secret.
    """
    return anyio.run(_client_holds, method, reply)


async def _client_holds(method: str, reply: bytes) -> str:
    async with talking(*[reply] * 9, seconds=LIMIT, timeouts=_TIMEOUTS) as (client, server):
        try:
            got = await ASKED[method][1](client)
        except KallyAIError as error:
            _assert_tells_nothing(f"{error} {error!r} {error.reason} {error.code} {error.correlation_id}")
            _assert_truthful(error, server)
            return type(error).__name__
        assert server.seen
        if isinstance(got, BaseModel):
            got.model_dump_json()
            repr(got).encode("utf-8")
        return type(got).__name__


def _assert_tells_nothing(text: str) -> None:
    assert not any(secret in text for secret in _SECRETS), "a token in an error"
    assert "\n" not in text, "an error of more than a line"


def _assert_truthful(error: KallyAIError, server: RawServer) -> None:
    nothing_sent = isinstance(error, NotConnectedError)
    assert not (nothing_sent and server.seen), f"it says that nothing was sent, but it was: {error}"


@dataclass
class Service:
    """A service that answers each path with a response of its own."""

    replies: Mapping[str, bytes]
    server: RawServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = RawServer(*[self._reply] * 99)

    async def _reply(self, stream: SocketStream) -> None:
        await stream.send(self.replies[_payload(self.server.seen[-1])])


def _payload(asked: Seen) -> str:
    path = asked.target.partition("?")[0]
    if path == "/v1/calls":
        return "call" if asked.method == "POST" else "list"
    ends = {"transcript": "transcript", "calendar.ics": "calendar", "billing-portal": "portal"}
    end = path.rpartition("/")[2]
    return ends.get(end, end if end in ("subscription", "statistics") else "call")


TOOLS: Mapping[str, dict[str, Any]] = {
    "make_call": BISTRO | {"wait_seconds": 0.3},
    "get_call": {"call_id": "c"},
    "list_calls": {},
    "get_transcript": {"call_id": "c"},
    "get_calendar_event": {"call_id": "c"},
    "check_quota": {},
    "get_billing_link": {},
    "sign_in": {},
}
"""The tools, each with right arguments."""

_OF_TOOL = {
    "make_call": ("call", "list"),
    "get_call": ("call",),
    "list_calls": ("list",),
    "get_transcript": ("call", "transcript"),
    "get_calendar_event": ("calendar",),
    "check_quota": ("statistics", "subscription"),
    "get_billing_link": ("portal",),
    "sign_in": (),
}


@st.composite
def services(draw: st.DrawFn) -> tuple[str, Mapping[str, bytes]]:
    """A tool, and how the service answers whatever that asks for."""
    tool = draw(st.sampled_from([tool for tool, payloads in _OF_TOOL.items() if payloads]))
    return tool, {name: draw(replies(name, wire=False)) for name in _OF_TOOL[tool]}


def hold_tools_to_the_law(tool: str, given: Mapping[str, bytes], mode: str) -> str:
    """Use a tool on such a service.

    Returns:
        `failed` or `done`.

    Raises:
        AssertionError: The agent reads what is not ours, or a token.
    """
    with Crashes():
        return anyio.run(_tools_hold, tool, given, mode)


async def _tools_hold(tool: str, given: Mapping[str, bytes], mode: str) -> str:
    everything = dict.fromkeys(("call", "list", "transcript", "calendar", "portal", "subscription", "statistics"))
    service = Service({name: given.get(name) or answer({"error": {"code": "not_found"}}, 404) for name in everything})
    with tempfile.TemporaryDirectory() as home, anyio.fail_after(LIMIT):
        async with anyio.create_task_group() as tasks:
            await service.server.start(tasks)
            settings = settings_in(Path(home), API_URL=service.server.url, ACCESS_TOKEN=TOKEN)
            async with agent_on(settings, mode=mode, clock=ManualClock(NOW)) as agent:
                used = await agent.use(tool, TOOLS[tool])
            tasks.cancel_scope.cancel()
    assert used.text.strip(), "an answer without a word"
    assert_readable(used.text)
    assert_all_readable(used.data)
    used.result.model_dump_json()
    _assert_tells_nothing(" ".join(used.text.splitlines()) if used.is_error else "")
    if used.is_error:
        ours = used.text.partition("KallyAI says:")[0]
        found = JARGON.search(ours)
        assert found is None, f"jargon: {used.text[:300]!r}"
        return "failed"
    return "done"


@st.composite
def redirects(draw: st.DrawFn) -> tuple[str, int, str]:
    """A method of the client, a status that points elsewhere, and the `Location`, with PORT for the other server's."""
    where = draw(
        st.sampled_from(
            [
                "http://127.0.0.1:PORT/v1/calls",
                "http://localhost:PORT/",
                "//127.0.0.1:PORT/",
                "http:\\\\127.0.0.1:PORT\\",
                "http://OWN@127.0.0.1:PORT/",
                "http://OWN:x@127.0.0.1:PORT/",
                "HTTP://127.0.0.1:PORT#http://OWN/",
                "http://127.0.0.1:PORT\t/",
                "mailto:nobody",
                "ftp://127.0.0.1:PORT/",
                "http://[::1",
                "",
            ]
        )
    )
    return draw(st.sampled_from([*ASKED])), draw(st.sampled_from([301, 302, 303, 307, 308])), where


def hold_tokens_back(method: str, status: int, where: str) -> str:
    """Be sent elsewhere.

    Returns:
        The kind of the error.

    Raises:
        AssertionError: The other server was spoken to, or there was no error.
    """
    return anyio.run(_tokens_stay, method, status, where)


async def _tokens_stay(method: str, status: int, where: str) -> str:
    other = RawServer(*[answer({"call_id": "c"})] * 9)
    caught: KallyAIError | None = None
    async with anyio.create_task_group() as tasks:
        await other.start(tasks)
        location = where.replace("PORT", str(other.port))

        async def elsewhere(stream: SocketStream) -> None:
            own = server.url.removeprefix("http://")
            await stream.send(answer(b"", status, location=location.replace("OWN", own)))

        async with talking(*[elsewhere] * 9, seconds=LIMIT, timeouts=_TIMEOUTS) as (client, server):
            try:
                await ASKED[method][1](client)
            except KallyAIError as error:
                caught = error
        tasks.cancel_scope.cancel()
    assert caught is not None, "there was nothing to answer, and no error"
    _assert_tells_nothing(f"{caught} {caught!r} {caught.reason}")
    _assert_truthful(caught, server)
    assert other.connections == 0, "the other host was spoken to"
    return type(caught).__name__
