"""The faults: what a client sees, and what was placed."""

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from tests.sandbox.conftest import PlaceCall, RequestBody, SignIn
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import client_of, sandbox_app

KEY = "5b0e1d52-0a4f-4e57-9d0e-8f0f4d1f6a11"
OTHER_KEY = "1c7c8a3e-6d0b-4c3a-8a55-0d9be7a1c002"
EMERGENCY = "+911"
UNTOUCHED: dict[str, Any] = {"faults": [], "happened": {}}

Call = Callable[..., Coroutine[Any, Any, httpx2.Response]]


@pytest.fixture
async def wire(app: SandboxApp) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the sandbox over TCP."""
    with anyio.fail_after(60):
        async with running(app) as url, httpx2.AsyncClient(base_url=url, timeout=60) as client:
            yield client


@pytest.fixture
def call(wire: httpx2.AsyncClient, sign_in: SignIn, body: RequestBody) -> Call:
    """Place a call over TCP: `call(key=KEY, **changes)`."""

    async def call(
        account: str = "acct-business", key: str = KEY, **changes: Any
    ) -> httpx2.Response:
        headers = sign_in(account) | {"Idempotency-Key": key}
        return await wire.post("/v1/calls", headers=headers, json=body(**changes))

    return call


async def set_faults(client: httpx2.AsyncClient, *faults: dict[str, Any]) -> dict[str, Any]:
    answer = await client.put("/_sandbox/faults", json={"faults": faults})
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    return state


async def state(client: httpx2.AsyncClient) -> dict[str, Any]:
    faults: dict[str, Any] = (await client.get("/_sandbox/faults")).json()
    return faults


async def placed(client: httpx2.AsyncClient) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = (await client.get("/_sandbox/calls")).json()["calls"]
    return calls


async def the_next_one_is_answered(wire: httpx2.AsyncClient, call: Call) -> dict[str, Any]:
    """Check that the fault is over: the same key is answered with the only call that was placed."""
    answer = await call()
    assert answer.status_code == 201
    (only,) = await placed(wire)
    assert answer.json()["call_id"] == only["call_id"]
    whole: dict[str, Any] = answer.json()
    return whole


@pytest.mark.parametrize(
    ("kind", "outcome", "code", "calls"),
    [
        ("cut_before_read", httpx2.ReadError, None, 0),
        ("cut_after_placed", httpx2.ReadError, None, 1),
        ("unavailable_before", 503, "service_unavailable", 0),
        ("unavailable_after", 503, "service_unavailable", 1),
        ("rate_limited", 429, "rate_limited", 0),
        ("html", 502, None, 0),
        ("error_after", 500, None, 1),
    ],
)
async def test_a_fault_does_what_it_says_and_the_same_key_finds_the_call(
    wire: httpx2.AsyncClient,
    call: Call,
    clock: ManualClock,
    kind: str,
    outcome: Any,
    code: str | None,
    calls: int,
) -> None:
    clock.hold()
    await set_faults(wire, {"kind": kind, "seconds": 1.2, "times": 2})
    for _ in range(2):
        if not isinstance(outcome, int):
            with pytest.raises(outcome):
                await call()
            continue
        answer = await call()
        assert answer.status_code == outcome
        if code is None:
            assert not answer.headers["content-type"].startswith("application/json")
            continue
        error = answer.json()["error"]
        assert (error["code"], answer.headers["retry-after"]) == (code, "2")
        assert error["details"].keys() == {"message", "reason"}
    assert [only["status"] for only in await placed(wire)] == ["in_progress"] * calls
    assert (await state(wire))["happened"] == {kind: 2}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(the_next_one_is_answered, wire, call)
        await clock.sleepers(1)
        clock.advance(hours=1)


async def test_a_cut_in_mid_body_waits_for_the_call_and_sends_half_of_the_response(
    wire: httpx2.AsyncClient, call: Call, clock: ManualClock, sign_in: SignIn, body: RequestBody
) -> None:
    clock.hold()
    await set_faults(wire, {"kind": "cut_mid_body"})
    headers = sign_in("acct-business") | {"Idempotency-Key": KEY}
    heads: list[httpx2.Response] = []
    half = bytearray()

    async def read() -> None:
        async with wire.stream("POST", "/v1/calls", headers=headers, json=body()) as answer:
            heads.append(answer)
            async for chunk in answer.aiter_raw():
                half.extend(chunk)

    async def break_off() -> None:
        with pytest.raises(httpx2.RemoteProtocolError):
            await read()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(break_off)
        await clock.sleepers(1)
        assert (await placed(wire))[0]["status"] == "in_progress"
        assert heads == []
        clock.advance(hours=1)
    (head,) = heads
    assert head.status_code == 201
    assert len(half) == int(head.headers["content-length"]) // 2
    whole = await call()
    assert whole.content.startswith(half)
    assert len(whole.content) == int(head.headers["content-length"])
    assert len(await placed(wire)) == 1


@pytest.mark.parametrize(("kind", "calls"), [("stall", 0), ("stall_after", 1)])
async def test_a_stall_sends_nothing_and_then_resets_the_connection(
    wire: httpx2.AsyncClient, call: Call, clock: ManualClock, kind: str, calls: int
) -> None:
    clock.hold()
    await set_faults(wire, {"kind": kind, "seconds": 30})
    broken = anyio.Event()

    async def stalled() -> None:
        with pytest.raises(httpx2.ReadError):
            await call()
        broken.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stalled)
        await clock.sleepers(1)
        assert len(await placed(wire)) == calls
        clock.advance(seconds=29)
        assert len(await placed(wire)) == calls
        assert not broken.is_set()
        clock.advance(seconds=1)
    assert len(await placed(wire)) == calls
    clock.advance(hours=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(the_next_one_is_answered, wire, call)
        if not calls:
            await clock.sleepers(1)
            clock.advance(hours=1)


async def test_faults_happen_in_the_order_of_the_list_and_as_often_as_set(
    wire: httpx2.AsyncClient, call: Call
) -> None:
    faults = await set_faults(
        wire,
        {"kind": "rate_limited", "times": 2},
        {"kind": "html", "path": "*"},
        {"kind": "unavailable_before", "path": "/v1/elsewhere"},
        {"kind": "rate_limited"},
    )
    assert faults["happened"] == {"unavailable_before": 0, "rate_limited": 0, "html": 0}
    first = {
        "kind": "rate_limited",
        "times": 2,
        "method": "POST",
        "path": "/v1/calls",
        "seconds": 0.0,
    }
    assert faults["faults"][0] == first
    assert [(await call()).status_code for _ in range(2)] == [429, 429]
    between = await state(wire)
    assert [fault["kind"] for fault in between["faults"]] == [
        "html",
        "unavailable_before",
        "rate_limited",
    ]
    assert [(await call()).status_code for _ in range(3)] == [502, 429, 201]
    after = await state(wire)
    assert [fault["path"] for fault in after["faults"]] == ["/v1/elsewhere"]
    assert after["happened"] == {"unavailable_before": 0, "rate_limited": 3, "html": 1}
    assert (await set_faults(wire, {"kind": "html"}))["happened"] == {"html": 0}
    assert (await wire.put("/_sandbox/faults", json={})).json() == UNTOUCHED


async def test_the_wildcard_path_excludes_the_control_endpoints(
    wire: httpx2.AsyncClient, call: Call
) -> None:
    await set_faults(
        wire,
        {"kind": "html", "path": "*"},
        {"kind": "html", "path": "*", "method": "GET", "times": 2},
    )
    assert await placed(wire) == []
    assert len((await state(wire))["faults"]) == 2
    assert [(await wire.get(path)).status_code for path in ("/docs", "/v1/calls", "/docs")] == [
        502,
        502,
        200,
    ]
    assert (await call()).status_code == 502
    assert (await call()).status_code == 201


async def test_a_refused_request_gets_its_refusal_and_leaves_the_fault_set(
    wire: httpx2.AsyncClient, call: Call
) -> None:
    for kind, key in (("cut_mid_body", KEY), ("error_after", OTHER_KEY)):
        await set_faults(wire, {"kind": kind, "path": "*"})
        refused = await call(key=key, respondent_phone=EMERGENCY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "emergency_number")
        untouched = await state(wire)
        assert (untouched["faults"][0]["times"], untouched["happened"]) == (1, {kind: 0})
        with contextlib.suppress(httpx2.RemoteProtocolError):
            assert (await call(key=key)).status_code == 500
        after = await state(wire)
        assert (after["faults"], after["happened"]) == ([], {kind: 1})
    assert len(await placed(wire)) == 2


async def test_an_invalid_fault_is_refused_and_changes_nothing(client: httpx2.AsyncClient) -> None:
    await set_faults(client, {"kind": "html"})
    wrong: list[dict[str, Any]] = [
        {"kind": "error_after", "method": "GET"},
        {"kind": "cut_mid_body", "path": "/_sandbox/calls"},
        {"kind": "html", "misspelt": 1},
    ]
    for fault in wrong:
        answer = await client.put("/_sandbox/faults", json={"faults": [{"kind": "html"}, fault]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "validation_error"), (
            fault
        )
    assert [fault["kind"] for fault in (await state(client))["faults"]] == ["html"]


async def test_faults_lines_and_refused_calls_survive_a_restart(
    tmp_path: Path, body: RequestBody
) -> None:
    found = []
    for is_first in (True, False):
        with sandbox_app(data=tmp_path / "sandbox.db", speed=1e9) as app:
            headers = {
                "Authorization": f"Bearer {app.state.sandbox.issue_tokens()['access_token']}"
            }
            async with client_of(app) as client:
                if is_first:
                    await set_faults(client, {"kind": "html", "method": "GET"})
                    line = {"refusal": "blocked_number", "then": [{"does": "is_busy"}]}
                    await client.put("/_sandbox/line/+14155551234", json=line)
                asked = body(appointment_date=None)
                found.append(
                    (await client.post("/v1/calls", headers=headers, json=asked)).status_code
                )
                refused = (await client.get("/_sandbox/calls")).json()["refused"]
                faults = (await state(client))["faults"]
    assert found == [403, 201]
    assert [call["code"] for call in refused] == ["blocked_number"]
    assert [fault["kind"] for fault in faults] == ["html"]


async def test_the_control_endpoint_lists_every_call_of_every_account(
    client: httpx2.AsyncClient, place_call: PlaceCall
) -> None:
    personal = (await place_call(key=KEY)).json()
    business = (
        await place_call("acct-business", respondent_phone="+34911234567", task_description="Ask")
    ).json()
    first, second = await placed(client)
    assert first["ends_at"] == second["started_at"]
    assert (first["status"], first["submission"]["party_size"]) == ("success", 4)
    assert first["highlights"].startswith("Reserved a table for 4")
    shown = [
        (call["call_id"], call["account_id"], call["idempotency_key"]) for call in (first, second)
    ]
    assert shown == [
        (personal["call_id"], "acct-personal", KEY),
        (business["call_id"], "acct-business", None),
    ]


async def test_only_programs_on_this_machine_by_a_name_of_it_use_the_control_endpoints(
    app: SandboxApp,
) -> None:
    paths = ("/_sandbox/faults", "/_sandbox/calls", "/_sandbox/play", "/_sandbox/play/calls")
    for address, host, status in (
        ("192.0.2.7", "localhost", 403),
        ("::ffff:192.0.2.7", "localhost", 403),
        ("127.0.0.1", "127.0.0.1.evil.com", 403),
        ("127.0.0.1", "localhost", 200),
        ("::1", "[::1]:8", 200),
    ):
        transport = httpx2.ASGITransport(app, client=(address, 40000))
        async with httpx2.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            assert [(await client.get(path)).status_code for path in paths] == [status] * 4
