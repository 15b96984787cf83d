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


async def raised_by(call: Call) -> type[Exception]:
    """What a call raises in place of an answer."""
    with pytest.raises(httpx2.HTTPError) as caught:
        await call()
    return caught.type


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("unavailable_before", (503, "service_unavailable")),
        ("unavailable_after", (503, "service_unavailable")),
        ("rate_limited", (429, "rate_limited")),
    ],
)
async def test_a_faults_error_says_when_to_retry(
    wire: httpx2.AsyncClient, call: Call, clock: ManualClock, kind: str, code: tuple[int, str]
) -> None:
    clock.hold()
    await set_faults(wire, {"kind": kind, "seconds": 1.2})
    answer = await call()
    error = answer.json()["error"]

    assert (answer.status_code, error["code"]) == code
    assert answer.headers["retry-after"] == "2"
    assert error["details"].keys() == {"message", "reason"}


@pytest.mark.parametrize(("kind", "status"), [("html", 502), ("error_after", 500)])
async def test_a_fault_may_be_answered_without_json(
    wire: httpx2.AsyncClient, call: Call, clock: ManualClock, kind: str, status: int
) -> None:
    clock.hold()
    await set_faults(wire, {"kind": kind})
    answer = await call()

    assert answer.status_code == status
    assert not answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("kind", ["cut_before_read", "cut_after_placed"])
async def test_a_cut_fault_breaks_the_connection(
    wire: httpx2.AsyncClient, call: Call, clock: ManualClock, kind: str
) -> None:
    clock.hold()
    await set_faults(wire, {"kind": kind})

    assert await raised_by(call) is httpx2.ReadError


@pytest.mark.parametrize(
    ("kind", "calls"),
    [
        ("cut_before_read", 0),
        ("cut_after_placed", 1),
        ("unavailable_before", 0),
        ("unavailable_after", 1),
        ("rate_limited", 0),
        ("html", 0),
        ("error_after", 1),
    ],
)
async def test_after_a_fault_the_key_finds_the_call(
    wire: httpx2.AsyncClient, call: Call, clock: ManualClock, kind: str, calls: int
) -> None:
    clock.hold()
    await set_faults(wire, {"kind": kind, "seconds": 1.2, "times": 2})
    for _ in range(2):
        with contextlib.suppress(httpx2.ReadError):
            await call()
    begun = [only["status"] for only in await placed(wire)]
    happened = (await state(wire))["happened"]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(the_next_one_is_answered, wire, call)
        await clock.sleepers(1)
        clock.advance(hours=1)

    assert begun == ["in_progress"] * calls
    assert happened == {kind: 2}


class CutAnswer:
    """An answer that breaks off in its body: its head, and what comes of the rest."""

    def __init__(self, wire: httpx2.AsyncClient, headers: dict[str, str], body: Any) -> None:
        self._wire, self._headers, self._asked = wire, headers, body
        self.head: httpx2.Response | None = None
        self.body = b""

    @property
    def length(self) -> int:
        """How many bytes the whole body would have."""
        assert self.head is not None
        return int(self.head.headers["content-length"])

    async def read(self) -> None:
        """Read until it breaks off."""
        with pytest.raises(httpx2.RemoteProtocolError):
            await self._read()

    async def _read(self) -> None:
        asked = self._wire.stream("POST", "/v1/calls", headers=self._headers, json=self._asked)
        async with asked as self.head:
            async for chunk in self.head.aiter_raw():
                self.body += chunk


@pytest.fixture
async def cut(wire: httpx2.AsyncClient, sign_in: SignIn, body: RequestBody) -> CutAnswer:
    await set_faults(wire, {"kind": "cut_mid_body"})
    return CutAnswer(wire, sign_in("acct-business") | {"Idempotency-Key": KEY}, body())


async def test_a_cut_in_mid_body_awaits_the_call(
    wire: httpx2.AsyncClient, cut: CutAnswer, clock: ManualClock
) -> None:
    clock.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cut.read)
        await clock.sleepers(1)
        (begun,) = await placed(wire)
        is_answered = cut.head is not None
        clock.advance(hours=1)

    assert (begun["status"], is_answered) == ("in_progress", False)


async def test_a_cut_in_mid_body_sends_half(cut: CutAnswer) -> None:
    await cut.read()

    assert cut.head is not None
    assert cut.head.status_code == 201
    assert len(cut.body) == cut.length // 2


async def test_after_a_cut_the_key_has_the_whole(
    wire: httpx2.AsyncClient, cut: CutAnswer, call: Call
) -> None:
    await cut.read()
    whole = await call()

    assert whole.content.startswith(cut.body)
    assert len(whole.content) == cut.length
    assert len(await placed(wire)) == 1


@pytest.mark.parametrize(("kind", "calls"), [("stall", 0), ("stall_after", 1)])
async def test_a_stall_finally_resets_the_connection(
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


ORDERED = (
    {"kind": "rate_limited", "times": 2},
    {"kind": "html", "path": "*"},
    {"kind": "unavailable_before", "path": "/v1/elsewhere"},
    {"kind": "rate_limited"},
)


async def test_the_faults_that_are_set_are_listed(wire: httpx2.AsyncClient) -> None:
    faults = await set_faults(wire, *ORDERED)

    assert faults["happened"] == {"unavailable_before": 0, "rate_limited": 0, "html": 0}
    assert faults["faults"][0] == {
        "kind": "rate_limited",
        "times": 2,
        "method": "POST",
        "path": "/v1/calls",
        "seconds": 0.0,
    }


async def test_faults_happen_in_the_order_of_their_list(
    wire: httpx2.AsyncClient, call: Call
) -> None:
    await set_faults(wire, *ORDERED)

    assert [(await call()).status_code for _ in range(5)] == [429, 429, 502, 429, 201]


async def test_a_fault_that_has_happened_is_counted(wire: httpx2.AsyncClient, call: Call) -> None:
    await set_faults(wire, *ORDERED)
    left = []
    for times in (2, 3):
        for _ in range(times):
            await call()
        left.append([fault["kind"] for fault in (await state(wire))["faults"]])

    assert left == [["html", "unavailable_before", "rate_limited"], ["unavailable_before"]]
    assert (await state(wire))["happened"] == {
        "unavailable_before": 0,
        "rate_limited": 3,
        "html": 1,
    }


async def test_new_faults_replace_the_old_ones(wire: httpx2.AsyncClient) -> None:
    await set_faults(wire, *ORDERED)

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


async def test_a_refused_request_leaves_the_fault_set(wire: httpx2.AsyncClient, call: Call) -> None:
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


async def test_the_control_endpoint_lists_all_accounts_calls(
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


async def test_only_this_machine_uses_the_control_endpoints(
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
