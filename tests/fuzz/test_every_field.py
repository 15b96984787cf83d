"""Replaces each field of each payload with values of a wrong type: only a required field may fail the response."""

import copy
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import pytest

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import UnreadableResponseError
from tests.api.raw_server import SUBMISSION, client_and_server, reference
from tests.fake_service import answer

CALL_ID = "uuid"
"""The id in the reference's examples: an answer about another call than the one asked for is not believed."""

_CALL = {"call_id": CALL_ID, "status": "success"}
_ENTRY = {"speaker": "AI", "content": "Hello", "timestamp": "00:00:01"}

SHAPES: Mapping[str, tuple[Any, ...]] = {
    "call": (
        reference("call_details"),
        _CALL | {"status": "terminated", "created_at": "2026-01-25T15:30:00", "to": "+14155551234"},
        _CALL | {"status": "rescheduled", "credits_used": 3, "submission": {"to": "+14155551234"}},
    ),
    "list": (
        reference("call_list"),
        {"items": reference("call_list")["calls"], "total": 1},
        [_CALL | {"created_at": "2026-01-25T15:30:00Z", "business_name": "Italian Bistro"}],
    ),
    "transcript": (
        reference("transcript"),
        {"transcript": [{"role": "HUMAN", "text": "Hi"}]},
        [_ENTRY, _ENTRY],
    ),
    "subscription": (reference("subscription"),),
    "statistics": (
        reference("statistics"),
        {"plan_type": "personal", "credits_allocated": 100, "credits_used": None, "credits_remaining": 60},
    ),
    "portal": (reference("billing_portal"), {"portal_url": "https://billing.stripe.com/p/session/x"}),
    "token": (reference("token"), {"access_token": "a", "expires_in": 10**12}),
}
"""The payloads of the reference, each with the shapes that the live service sends (`api-in-the-wild.md`)."""


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to `value` and to every value in it."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in items:
        yield from paths(held, (*path, key))


METHODS: Mapping[str, tuple[str, Callable[[KallyAI], Awaitable[Any]]]] = {
    "create_call": ("call", lambda client: client.create_call(SUBMISSION)),
    "list_calls": ("list", lambda client: client.list_calls()),
    "get_call": ("call", lambda client: client.get_call(CALL_ID)),
    "get_transcript": ("transcript", lambda client: client.get_transcript(CALL_ID)),
    "get_subscription": ("subscription", lambda client: client.get_subscription()),
    "get_statistics": ("statistics", lambda client: client.get_statistics()),
    "get_billing_portal": ("portal", lambda client: client.get_billing_portal()),
    "refresh": ("token", lambda client: client.refresh("a-refresh-token")),
}
"""Each method of the client: the name of the payload in its response, and a call of it."""

WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "\x00\ud83d\x1b[2J\u202e",
    "9" * 5_000,
    "9999-12-31T23:59:59-12:00",
    "http://[::1",
    [],
    [None],
    {},
    {"a": [{}]},
)
"""Values that have a wrong type, or are invalid, for any field."""

REQUIRED = {
    "call": {("call_id",)},
    "list": {("calls",), ("items",)},
    "transcript": {("entries",), ("transcript",)},
    "portal": {("url",), ("portal_url",)},
    "token": {("access_token",)},
    "statistics": set(),
    "subscription": set(),
}
"""The fields without which a response is unreadable, besides the body itself."""


def with_each_wrong(body: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each path, and the body with a wrong value there."""
    for path in paths(body):
        for wrong in WRONG:
            if not path:
                yield path, wrong
                continue
            changed = copy.deepcopy(body)
            holder = changed
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = wrong
            yield path, changed


@pytest.mark.parametrize("method", METHODS)
async def test_a_wrong_type_makes_a_response_unreadable_only_in_a_required_field(method: str) -> None:
    payload, call = METHODS[method]
    cases = [case for shape in SHAPES[payload] for case in with_each_wrong(shape)]
    lost: set[tuple[Any, ...]] = set()
    async with client_and_server(*[answer(json.dumps(body).encode()) for _, body in cases], seconds=120) as (
        client,
        server,
    ):
        for path, _ in cases:
            try:
                got = await call(client)
            except UnreadableResponseError:
                lost.add(path)
            else:
                repr(got).encode()
                got.model_dump_json()

    assert len(server.requests) == len(cases)
    assert () in lost
    assert lost - {()} == REQUIRED[payload]
