"""Replaces each field of each payload with values of a wrong type: only a required field may fail the response."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from kallyai_mcp.api.errors import UnreadableResponseError
from tests.api.raw_server import client_and_server
from tests.fake_service import answer
from tests.fuzz.payloads import SHAPES, as_json, paths
from tests.fuzz.service_checks import METHODS

WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "\x00\ud83d",
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

NAMES = [method for method, (payload, _) in METHODS.items() if payload in REQUIRED]


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


@pytest.mark.parametrize("method", NAMES)
async def test_a_wrong_type_makes_a_response_unreadable_only_in_a_required_field(method: str) -> None:
    payload, call = METHODS[method]
    cases = [case for shape in SHAPES[payload] for case in with_each_wrong(shape)]
    lost: set[tuple[Any, ...]] = set()
    async with client_and_server(*[answer(as_json(body)) for _, body in cases], seconds=30) as (client, server):
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
