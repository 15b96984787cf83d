"""The Events extension (SEP-3415): a client hears that a call has ended, over every transport, also if it was away."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import anyio
import httpx2
import pytest

from kallyai_mcp.server.extensions import events
from kallyai_mcp.transports import limits
from tests.transports.event_stream import (
    Json,
    Messages,
    ask,
    mcp_stream,
    next_of,
    sse_stream,
    stdio_stream,
)
from tests.transports.http_server import (
    ACCEPT,
    CALL,
    LIMIT,
    RunningSandbox,
    connected_agent,
    post_initialize,
    running_sandbox,
    running_server,
)

ENDED = {"name": "call.ended", "arguments": {}}
EXTENSION = "io.modelcontextprotocol/events"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
SAID = ("highlights", "next_steps", "transcript", "task_description")


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(tmp_path) as sandbox:
        yield sandbox


@pytest.fixture
async def url(sandbox: RunningSandbox) -> AsyncIterator[str]:
    async with running_server(sandbox.settings()) as url:
        yield url


async def poll(url: str, cursor: str | None = None, *, token: str | None = None, **params: object) -> Json:
    answer = await ask(url, "events/poll", {**ENDED, "cursor": cursor, **params}, token=token)
    result: Json = answer["result"]
    return result


async def end_a_call(sandbox: RunningSandbox, url: str, **changes: object) -> Json:
    """Place a call and let it end; returns its last result."""
    async with connected_agent(url) as agent:
        before = len(await sandbox.calls())
        placed = await agent.use("make_call", {**CALL, **changes}, wait_seconds=0)
        await sandbox.wait_for_calls(before + 1)
        sandbox.end_calls()
        ended = await agent.use("get_call", call_id=placed.data["tracking_id"], wait_seconds=LIMIT)
    return ended.data


async def test_events_are_declared_as_an_extension_and_as_chatgpt_looks_for_them(url: str) -> None:
    discovered = (await ask(url, "server/discover"))["result"]["capabilities"]
    handshake = (await post_initialize(url)).text

    assert discovered["events"] == discovered["extensions"][EXTENSION] == {}
    assert '"events":{}' in handshake


async def test_the_types_say_how_they_are_delivered_and_what_they_carry(url: str) -> None:
    listed = (await ask(url, "events/list"))["result"]["events"]

    assert [each["name"] for each in listed] == ["call.ended", "call.needs_decision"]
    for each in listed:
        assert each["delivery"] == ["poll", "push"]
        assert not set(SAID) & set(each["payloadSchema"]["properties"])


async def test_a_client_that_was_away_catches_up_with_the_same_event(sandbox: RunningSandbox, url: str) -> None:
    start = await poll(url)
    assert (start["events"], start["truncated"], start["hasMore"]) == ([], False, False)
    ended = await end_a_call(sandbox, url)
    async with running_server(sandbox.settings()) as another:
        first = await poll(another, start["cursor"])
    again = await poll(url, start["cursor"])
    after = await poll(url, first["cursor"])

    (event,) = first["events"]
    assert event["data"] == {
        "tracking_id": ended["tracking_id"],
        "call_id": ended["call_id"],
        "status": "success",
        "outcome": ended["outcome"],
        "code": None,
        "callee": {"business_name": None, "respondent_phone": CALL["respondent_phone"]},
    }
    assert again["events"] == [event]
    assert (after["events"], after["cursor"]) == ([], first["cursor"])


@pytest.mark.parametrize("transport", ["mcp", "sse", "stdio"])
async def test_an_open_stream_gets_the_event_with_its_cursor(sandbox: RunningSandbox, url: str, transport: str) -> None:
    def open_stream(cursor: str | None) -> AbstractAsyncContextManager[Messages]:
        if transport == "stdio":
            return stdio_stream(sandbox.settings(), {**ENDED, "cursor": cursor})
        return (sse_stream if transport == "sse" else mcp_stream)(url, {**ENDED, "cursor": cursor})

    async with open_stream(None) as messages:
        active = await next_of(messages, "active")
        ended = await end_a_call(sandbox, url)
        event = await next_of(messages, "event")
    async with open_stream(active["cursor"]) as messages:
        missed = await next_of(messages, "event")
    polled = await poll(url, active["cursor"])

    assert (active["truncated"], active["_meta"]) == (False, {SUBSCRIPTION: "s"})
    assert event["data"]["call_id"] == ended["call_id"]
    assert missed == event
    assert event["cursor"] == polled["cursor"]
    assert event["eventId"] == polled["events"][0]["eventId"]


async def test_a_quiet_stream_says_that_it_lives_and_where_it_is(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.0)
    async with mcp_stream(url, ENDED) as messages:
        active = await next_of(messages, "active")
        heartbeat = await next_of(messages, "heartbeat")

    assert heartbeat == {"cursor": active["cursor"], "_meta": {SUBSCRIPTION: "s"}}


async def test_a_client_may_wait_for_one_call_only(sandbox: RunningSandbox, url: str) -> None:
    start = await poll(url)
    other = await end_a_call(sandbox, url)
    wanted = await end_a_call(sandbox, url, business_name="Another")
    by_call = await poll(url, start["cursor"], arguments={"call_id": wanted["call_id"]})
    by_tracking = await poll(url, start["cursor"], arguments={"call_id": wanted["tracking_id"]})

    assert [event["data"]["call_id"] for event in by_call["events"]] == [wanted["call_id"]] != [other["call_id"]]
    assert by_call == by_tracking | {"_meta": by_call["_meta"]}


async def test_a_poll_is_bounded_in_number_and_age(sandbox: RunningSandbox, url: str) -> None:
    start = await poll(url)
    for name in ("One", "Two"):
        await end_a_call(sandbox, url, business_name=name)
    first = await poll(url, start["cursor"], maxEvents=1)
    rest = await poll(url, first["cursor"], maxEvents=1)
    too_old = await poll(url, start["cursor"], maxAgeMs=0)

    assert (len(first["events"]), first["hasMore"], len(rest["events"]), rest["hasMore"]) == (1, True, 1, False)
    assert (too_old["events"], too_old["truncated"], too_old["cursor"]) == ([], True, rest["cursor"])


async def test_a_cursor_that_the_ledger_does_not_know_is_replaced_and_said(url: str) -> None:
    async with mcp_stream(url, {**ENDED, "cursor": "70"}) as messages:
        active = await next_of(messages, "active")
    polled = await poll(url, "70")

    assert (active["cursor"], active["truncated"]) == ("0", True)
    assert (polled["cursor"], polled["truncated"]) == ("0", True)


async def test_a_stream_replays_no_event_over_the_requested_age_and_sends_later_ones(
    sandbox: RunningSandbox, url: str
) -> None:
    start = await poll(url)
    await end_a_call(sandbox, url)
    async with mcp_stream(url, {**ENDED, "cursor": start["cursor"], "maxAgeMs": 0}) as messages:
        active = await next_of(messages, "active")
        later = await end_a_call(sandbox, url, business_name="Later")
        event = await next_of(messages, "event")

    assert (active["truncated"], active["cursor"]) == (True, "1")
    assert event["data"]["tracking_id"] == later["tracking_id"]


async def test_an_open_stream_says_that_events_were_deleted_before_it_could_send_them(
    sandbox: RunningSandbox, url: str
) -> None:
    async with mcp_stream(url, ENDED) as messages:
        before = await next_of(messages, "active")
        with contextlib.closing(sqlite3.connect(sandbox.settings().home / "ledger.db")) as ledger, ledger:
            ledger.execute("UPDATE accounts SET events = 7")  # seven events have happened, and none is kept
        after = await next_of(messages, "active")
        ended = await end_a_call(sandbox, url)
        event = await next_of(messages, "event")

    assert [(each["cursor"], each["truncated"]) for each in (before, after)] == [("0", False), ("7", True)]
    assert (event["data"]["tracking_id"], event["cursor"]) == (ended["tracking_id"], "8")


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({"name": "call.began"}, -32023, "there is call.ended, call.needs_decision"),
        ({**ENDED, "cursor": "x"}, -32602, "leave it out"),
        ({**ENDED, "arguments": {"number": "+1"}}, -32602, ""),
        ({**ENDED, "maxEvents": 0}, -32602, ""),
    ],
)
@pytest.mark.parametrize("method", ["events/poll", "events/stream"])
async def test_what_is_wrong_is_refused(url: str, method: str, params: Json, code: int, words: str) -> None:
    if method == "events/stream" and "maxEvents" in params:
        return
    error = (await ask(url, method, params))["error"]

    assert error["code"] == code
    assert words in error["message"]


async def test_nobody_hears_of_another_accounts_calls(sandbox: RunningSandbox) -> None:
    mine, theirs = sandbox.token("acct-personal"), sandbox.token("acct-business")
    async with running_server(replace(sandbox.settings(), access_token=None), auth="caller") as url:
        starts = {token: (await poll(url, token=token))["cursor"] for token in (mine, theirs)}
        async with mcp_stream(url, ENDED, theirs) as messages, connected_agent(url, token=mine) as agent:
            await next_of(messages, "active")
            placed = await agent.use("make_call", CALL, wait_seconds=0)
            await sandbox.wait_for_calls()
            sandbox.end_calls()
            await agent.use("get_call", call_id=placed.data["tracking_id"], wait_seconds=LIMIT)
            heard = await poll(url, starts[mine], token=mine)
            not_heard = await poll(url, starts[theirs], token=theirs)
            with pytest.raises(TimeoutError), anyio.fail_after(2.5):
                await next_of(messages, "event")
        refused = await ask(url, "events/poll", ENDED)

    assert [event["data"]["tracking_id"] for event in heard["events"]] == [placed.data["tracking_id"]]
    assert not_heard["events"] == []
    assert refused["error"] == "unauthorized"


async def test_a_client_at_mcp_that_can_be_sent_nothing_is_told_to_poll(url: str) -> None:
    headers = ACCEPT | {"MCP-Protocol-Version": "2025-11-25"}
    async with httpx2.AsyncClient(timeout=LIMIT) as client:

        async def ask_as_before(method: str, params: Json) -> str:
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            return (await client.post(f"{url}/mcp", json=body, headers=headers)).text

        listed = await ask_as_before("events/list", {})
        stream = await ask_as_before("events/stream", ENDED)
        polled = await ask_as_before("events/poll", ENDED)

    assert '"delivery":["poll"]' in listed
    assert '"code":-32026' in stream
    assert "events/poll" in stream
    assert '"cursor":"0"' in polled


async def test_a_stream_of_events_counts_as_an_open_stream(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_PER_CALLER", 1)
    async with mcp_stream(url, ENDED) as messages:
        await next_of(messages, "active")
        async with httpx2.AsyncClient(timeout=LIMIT) as client:
            one_more = await client.post(f"{url}/mcp", json={}, headers={"Mcp-Method": "events/stream"})

    assert one_more.status_code == 429
