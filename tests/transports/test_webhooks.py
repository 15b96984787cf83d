"""events/subscribe (SEP-3415): a client's server is told that a call has ended, over https and signed."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp.api.safe_fetch import SafeFetcher
from kallyai_mcp.cli import serve_http
from kallyai_mcp.cli.serve_auth import ServeOptions
from kallyai_mcp.cli.serve_http import build_app
from tests.transports.event_stream import Json, ask
from tests.transports.http_server import CALL, LIMIT, RunningSandbox, connected_agent, running_app, running_sandbox
from tests.transports.webhook_receiver import URL, WebhookReceiver, receiving

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ENDED: Json = {"name": "call.ended", "arguments": {}}


@dataclass
class Served:
    """A server whose callers bring their tokens, and a receiver that it can reach."""

    url: str
    sandbox: RunningSandbox
    receiver: WebhookReceiver
    token: str

    async def ask(self, method: str, token: str | None = None, **params: Any) -> Json:
        return await ask(self.url, method, {**ENDED, **params}, token=token or self.token)

    async def subscribe(self, *, url: str = URL, secret: str = SECRET, **params: Any) -> Json:
        delivery = {"mode": "webhook", "url": url, "secret": secret}
        return await self.ask("events/subscribe", delivery=delivery, **params)

    async def end_a_call(self, token: str | None = None, **changes: object) -> Json:
        async with connected_agent(self.url, token=token or self.token) as agent:
            before = len(await self.sandbox.calls())
            placed = await agent.use("make_call", {**CALL, **changes}, wait_seconds=0)
            await self.sandbox.wait_for_calls(before + 1)
            self.sandbox.end_calls()
            return (await agent.use("get_call", call_id=placed.data["tracking_id"], wait_seconds=LIMIT)).data


@pytest.fixture
async def served(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    is_real = getattr(request, "param", "") == "real fetcher"
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(running_sandbox(tmp_path))
        receiver = await stack.enter_async_context(receiving(tmp_path, SECRET))
        fetcher = SafeFetcher(user_agent="tests") if is_real else receiver.fetcher()
        settings = replace(sandbox.settings(), access_token=None)
        app = build_app(settings, ServeOptions("127.0.0.1", "caller"), post=fetcher.post)
        yield Served(await stack.enter_async_context(running_app(app)), sandbox, receiver, sandbox.token())


async def test_a_receiver_is_told_of_a_call_of_its_account_alone(served: Served) -> None:
    granted = (await served.subscribe(ttlMs=3_600_000))["result"]
    start = (await served.ask("events/poll"))["result"]["cursor"]
    await served.end_a_call(served.sandbox.token("acct-business"))
    ended = await served.end_a_call(business_name="Mine")
    body, headers = await served.receiver.event()
    (polled,) = (await served.ask("events/poll", cursor=start))["result"]["events"]

    assert (granted["truncated"], granted["cursor"]) == (False, start)
    assert granted["refreshBefore"].endswith("Z")
    assert body["data"]["call_id"] == ended["call_id"]
    assert {name: body[name] for name in ("eventId", "name", "timestamp", "data")} == polled
    assert headers["webhook-id"] == body["eventId"]
    assert headers["x-mcp-subscription-id"] == granted["id"]
    assert headers["content-type"] == "application/json"
    assert len(served.receiver.messages) == 2
    assert not {"highlights", "next_steps", "transcript"} & set(body["data"])


async def test_an_event_carries_what_the_catalog_says(served: Served) -> None:
    ended, _ = (await served.ask("events/list"))["result"]["events"]
    await served.subscribe()
    await served.end_a_call()
    body, _ = await served.receiver.event()

    for sent, schema in (
        (body["data"], ended["payloadSchema"]),
        (body["data"]["callee"], ended["payloadSchema"]["properties"]["callee"]),
    ):
        assert list(sent) == list(schema["properties"]) == schema["required"]


async def test_a_refresh_says_how_deliveries_went_and_an_end_ends_them(served: Served) -> None:
    first = (await served.subscribe())["result"]
    await served.end_a_call()
    await served.receiver.event()
    again = (await served.subscribe(cursor=first["cursor"]))["result"]
    ended = await served.ask("events/unsubscribe", delivery={"url": URL})
    twice = await served.ask("events/unsubscribe", delivery={"url": URL})

    assert again["id"] == first["id"]
    assert again["deliveryStatus"]["active"] is True
    assert "lastError" not in again["deliveryStatus"]
    assert "deliveryStatus" not in first
    assert ended["result"]["resultType"] == "complete"
    assert (twice["error"]["code"], twice["error"]["data"]) == (-32023, {"kind": "subscription"})


async def test_webhooks_are_offered_only_to_clients_with_a_token(served: Served) -> None:
    offered, _ = (await served.ask("events/list"))["result"]["events"]
    app = build_app(served.sandbox.settings(), ServeOptions("127.0.0.1", "none"), post=served.receiver.fetcher().post)
    async with running_app(app) as open_url:
        poor, _ = (await ask(open_url, "events/list"))["result"]["events"]
        delivery = {"url": URL, "secret": SECRET}
        refused = (await ask(open_url, "events/subscribe", {**ENDED, "delivery": delivery}))["error"]

    assert offered["delivery"] == ["poll", "push", "webhook"]
    assert poor["delivery"] == ["poll", "push"]
    assert refused["code"] == -32024
    assert "events/poll" in refused["message"]
    assert served.receiver.messages == []


UNUSABLE: list[tuple[Json, int]] = [
    ({"url": URL.replace("https", "http")}, -32602),
    ({"url": URL.replace(".example", ".example:8443")}, -32602),
    ({"url": URL.replace("receiver", "user@receiver")}, -32602),
    ({"url": "https:///hooks"}, -32602),
    ({"secret": "whsec_c2hvcnQ="}, -32602),
    ({"name": "call.began"}, -32023),
    ({"cursor": "x"}, -32602),
    ({"arguments": {"call_id": "\0"}}, -32602),
    ({"arguments": {"call_id": "x" * 501}}, -32602),
    ({"arguments": {"call_id": "a/transcript"}}, -32602),
    ({"url": f"https://receiver.example\\@127.0.0.1/{SECRET}"}, -32602),
    ({"url": URL + "\r\nX-Injected: 1"}, -32602),
    ({"url": "https://recei\u1d65er.example/"}, -32602),
    ({"url": URL + "x" * 2_000}, -32602),
    ({"ttlMs": -1}, -32602),
]


async def test_what_can_not_be_used_is_refused_before_anything_is_sent(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "kallyai_mcp")
    errors = [(await served.subscribe(**change))["error"] for change, _ in UNUSABLE]

    assert [error["code"] for error in errors] == [code for _, code in UNUSABLE]
    assert served.receiver.messages == []
    assert SECRET not in json.dumps(errors) + caplog.text


@pytest.mark.parametrize("served", ["real fetcher"], indirect=True)
async def test_a_private_address_is_never_connected_to(served: Served) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]", "10.0.0.7", "169.254.169.254", "[::ffff:127.0.0.1]"):
        error = (await served.subscribe(url=f"https://{host}/hooks"))["error"]

        assert (error["code"], error["data"]) == (-32027, {"reason": "connection_refused"})
        assert "no public address" in error["message"]


async def test_a_receiver_with_another_secret_is_not_subscribed(served: Served) -> None:
    other = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
    error = (await served.subscribe(secret=other))["error"]

    assert error["code"] == -32027
    assert SECRET not in str(error)


async def test_one_account_can_not_use_up_the_challenges_of_a_host_for_the_others(served: Served) -> None:
    own = [await served.subscribe(url=f"{URL}/{number}") for number in range(11)]
    other = await served.ask(
        "events/subscribe",
        served.sandbox.token("acct-business"),
        delivery={"mode": "webhook", "url": URL, "secret": SECRET},
    )

    assert ["result" in answer for answer in own] == [True] * 10 + [False]
    assert own[-1]["error"]["code"] == -32025
    assert "result" in other


async def test_all_accounts_together_can_not_flood_a_host_with_challenges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve_http, "_CHALLENGES_TO_HOST", "1/minute")
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(running_sandbox(tmp_path))
        receiver = await stack.enter_async_context(receiving(tmp_path, SECRET))
        settings = replace(sandbox.settings(), access_token=None)
        app = build_app(settings, ServeOptions("127.0.0.1", "caller"), post=receiver.fetcher().post)
        served = Served(await stack.enter_async_context(running_app(app)), sandbox, receiver, sandbox.token())
        first = await served.subscribe()
        delivery = {"mode": "webhook", "url": URL, "secret": SECRET}
        other = await served.ask("events/subscribe", sandbox.token("acct-business"), delivery=delivery)

    assert "result" in first
    assert (other["error"]["code"], other["error"]["data"]) == (-32025, {"limit": "challenges"})
    assert len(receiver.messages) == 1


async def test_a_subscription_ends_with_its_bearer_token_and_belongs_to_its_account(served: Served) -> None:
    granted = (await served.subscribe(ttlMs=10**15))["result"]
    foreign = await served.ask("events/unsubscribe", served.sandbox.token("acct-business"), delivery={"url": URL})
    await served.end_a_call()
    await served.receiver.event()

    left = datetime.fromisoformat(granted["refreshBefore"]) - served.sandbox.clock.now()
    assert left <= timedelta(hours=1)
    assert foreign["error"]["code"] == -32023
