"""Callers who use one server with their own KallyAI accounts."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from starlette.requests import Request

from kallyai_mcp.api.errors import UnauthorizedError
from kallyai_mcp.auth import caller_tokens
from kallyai_mcp.auth.caller_tokens import CACHE_SECONDS, CallerVerifier
from tests.agent import Agent, settings_in
from tests.fake_service import fake_service
from tests.transports.http_server import (
    CALL,
    LIMIT,
    RunningSandbox,
    connected_agent,
    initialize,
    post_initialize,
    running_sandbox,
    running_server,
)

LATER: tuple[dict[str, Any], ...] = ({"not_before": "2027-01-01T09:00"}, {"retries": 1})


@dataclass(frozen=True)
class Callers:
    """Two users of one server, one at `/mcp` and one at `/sse`."""

    sandbox: RunningSandbox
    one: Agent
    other: Agent

    async def call(self) -> list[dict[str, Any]]:
        """Let both ask for the same call; returns the ids and the end of both calls."""
        before = len(await self.sandbox.calls())
        agents = (self.one, self.other)
        placed = [await agent.use("make_call", CALL, wait_seconds=0) for agent in agents]
        await self.sandbox.wait_for_calls(before + 2)
        self.sandbox.end_calls()
        ids = [made.data["tracking_id"] for made in placed]
        ended = [
            await agent.use("get_call", call_id=id_, wait_seconds=LIMIT)
            for agent, id_ in zip(agents, ids, strict=True)
        ]
        return [answer.data | {"tracking_id": id_} for answer, id_ in zip(ended, ids, strict=True)]


@pytest.fixture
async def callers(tmp_path: Path) -> AsyncIterator[Callers]:
    async with (
        running_sandbox(tmp_path) as sandbox,
        running_server(sandbox.settings(), auth="caller") as url,
        connected_agent(url, token=sandbox.token("acct-personal")) as one,
        connected_agent(url, "sse", token=sandbox.token("acct-business")) as other,
    ):
        yield Callers(sandbox, one, other)


async def test_each_caller_has_its_own_quota(callers: Callers) -> None:
    agents = (callers.one, callers.other, callers.one)
    quotas = [await agent.use("check_quota") for agent in agents]

    assert [quota.data["minutes_remaining"] for quota in quotas] == [165, 6000, 165]


@pytest.mark.parametrize("later", LATER, ids=["not_before", "retries"])
async def test_a_caller_schedules_no_call(callers: Callers, later: dict[str, Any]) -> None:
    answer = await callers.one.use("make_call", CALL, **later)

    assert answer.data["code"] == "cannot_schedule"


async def test_the_same_call_of_two_callers_is_two(callers: Callers) -> None:
    mine, theirs = await callers.call()
    calls = await callers.sandbox.calls()

    assert {call["account_id"] for call in calls} == {"acct-personal", "acct-business"}
    assert mine["status"] == theirs["status"] == "success"
    assert mine["tracking_id"] != theirs["tracking_id"]


@pytest.mark.parametrize("id_", ["tracking_id", "call_id"])
async def test_a_caller_sees_no_others_call(callers: Callers, id_: str) -> None:
    mine, theirs = await callers.call()
    foreign = await callers.other.use("get_call", call_id=mine[id_])
    listed = await callers.other.use("list_calls")

    assert foreign.is_error
    assert [call["call_id"] for call in listed.data["calls"]] == [theirs["call_id"]]


async def test_another_callers_sse_session_is_not_found(sandbox: RunningSandbox) -> None:
    async with running_server(sandbox.settings(), auth="caller") as url:
        mine = {"Authorization": f"Bearer {sandbox.token('acct-personal')}"}
        theirs = {"Authorization": f"Bearer {sandbox.token('acct-business')}"}
        async with (
            httpx2.AsyncClient(timeout=LIMIT) as client,
            client.stream("GET", f"{url}/sse", headers=mine) as sse,
        ):
            lines = sse.aiter_lines()
            with anyio.fail_after(LIMIT):
                while not (line := await anext(lines)).startswith("data: "):
                    pass
                endpoint = url + line.removeprefix("data: ")
                foreign = await client.post(endpoint, json=initialize(), headers=theirs)
                own = await client.post(endpoint, json=initialize(), headers=mine)

    assert foreign.status_code == 404
    assert own.status_code == 202


async def test_a_refusal_names_the_authorization_server(
    sandbox: RunningSandbox,
) -> None:
    async with (
        running_server(
            sandbox.settings(PUBLIC_URL="https://phone.example.com/"), auth="caller"
        ) as url,
        httpx2.AsyncClient() as client,
    ):
        answers = [
            await post_initialize(url),
            await post_initialize(url, {"Authorization": "Bearer wrong"}),
        ]
        document = await client.get(f"{url}/.well-known/oauth-protected-resource/mcp")

    assert {answer.status_code for answer in answers} == {401}
    assert document.json() == {
        "resource": "https://phone.example.com/mcp",
        "authorization_servers": [sandbox.url],
        "bearer_methods_supported": ["header"],
        "resource_name": "KallyAI phone",
    }
    where = "https://phone.example.com/.well-known/oauth-protected-resource/mcp"
    assert all(
        f'resource_metadata="{where}"' in answer.headers["www-authenticate"] for answer in answers
    )


async def test_checks_of_one_token_share_a_request() -> None:
    checked: list[str] = []
    now, is_good = 0.0, True

    async def check(bearer: str) -> None:
        await anyio.lowlevel.checkpoint()
        checked.append(bearer)
        if not is_good:
            raise UnauthorizedError("No", code="unauthorized")

    verify = CallerVerifier(check, clock=lambda: now)
    known = [verify.is_known("good")]
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(verify, "good")
    counts = [len(checked)]
    for later in (CACHE_SECONDS - 1, CACHE_SECONDS, 10 * CACHE_SECONDS):
        now, is_good = later, later <= CACHE_SECONDS
        known.append(verify.is_known("good"))
        verdict = await verify("good")
        counts.append(len(checked))
    known.append(verify.is_known("good"))

    assert counts == [1, 1, 2, 3]
    assert known == [False, True, True, True, False]
    assert verdict is None


async def test_a_refusal_counts_for_a_minute_too() -> None:
    now, asked = 0.0, 0

    async def refuse(_: str) -> None:
        nonlocal asked
        asked += 1
        raise UnauthorizedError("No", code="unauthorized")

    verify = CallerVerifier(refuse, clock=lambda: now)
    refused = [verify.is_refused("bad")]
    for later in (0.0, CACHE_SECONDS - 1, CACHE_SECONDS):
        now = later
        refused.append(verify.is_refused("bad"))
        assert await verify("bad") is None

    assert asked == 2
    assert refused == [False, False, True, False]


async def test_a_token_of_any_scope_is_accepted(
    tmp_path: Path,
) -> None:
    claims = (
        base64.urlsafe_b64encode(json.dumps({"sub": "acct-personal"}).encode()).decode().rstrip("=")
    )
    forged = f"e30.{claims}.c2ln"
    checked: set[str] = set()

    def answer(request: Request) -> tuple[int, object]:
        checked.add(request.headers["authorization"])
        if forged in request.headers["authorization"] or request.url.path.startswith("/v1/calls"):
            return 403, {"detail": "Not allowed"}
        return 200, {"minutes_remaining": 1}

    async with (
        fake_service(answer) as service,
        running_server(settings_in(tmp_path, API_URL=service), auth="caller") as url,
        httpx2.AsyncClient() as client,
    ):
        narrow = await post_initialize(url, {"Authorization": "Bearer narrow"})
        refused = [await post_initialize(url, {"Authorization": f"Bearer {forged}"})]
        for malformed in (b"t\xf6ken", b"two words", b"tab\tbed"):
            headers = [(b"authorization", b"Bearer " + malformed)]
            refused.append(await client.post(f"{url}/mcp", json=initialize(), headers=headers))

    assert narrow.status_code == 200
    assert [response.status_code for response in refused] == [401] * 4
    assert checked == {"Bearer narrow", f"Bearer {forged}"}


async def test_the_cache_of_tokens_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked: list[str] = []

    async def check(bearer: str) -> None:
        checked.append(bearer)

    monkeypatch.setattr(caller_tokens, "_MAX_CACHED", 2)
    verify = CallerVerifier(check)
    tokens = [await verify(bearer) for bearer in ("one", "two", "one", "three")]

    assert checked == ["one", "two", "three"]
    assert [bearer for bearer in ("one", "two", "three") if verify.is_known(bearer)] == ["three"]
    assert len({token.subject for token in tokens if token is not None}) == 3
