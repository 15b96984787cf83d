"""Every field of every payload, one by one, with each wrong type in it: only what is needed loses the answer."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from kallyai_mcp.api.errors import ServiceError, UnreadableResponseError
from tests.api.raw_server import answer, talking
from tests.fuzz.payloads import SHAPES, as_json, places
from tests.fuzz.service_side import ASKED

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
"""A wrong type for any field, or a wrong value where the type is right."""

NEEDED = {
    "call": {("call_id",)},
    "list": {("calls",), ("items",)},
    "transcript": {("entries",), ("transcript",)},
    "portal": {("url",), ("portal_url",)},
    "token": {("access_token",)},
    "statistics": set(),
    "subscription": set(),
}
"""The fields without which there is no answer; the body itself is one, too."""

METHODS = [method for method, (payload, _) in ASKED.items() if payload in NEEDED]


def with_each_wrong(body: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Where something is wrong, and the body in which it is."""
    for path in places(body):
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
async def test_a_wrong_type_loses_the_answer_only_where_there_is_none_without(method: str) -> None:
    payload, ask = ASKED[method]
    cases = [case for shape in SHAPES[payload] for case in with_each_wrong(shape)]
    lost: set[tuple[Any, ...]] = set()
    async with talking(*[answer(as_json(body)) for _, body in cases], seconds=30) as (client, server):
        for path, _ in cases:
            try:
                got = await ask(client)
            except UnreadableResponseError:
                lost.add(path)
            else:
                repr(got).encode()
                got.model_dump_json()

    assert len(server.seen) == len(cases)
    assert () in lost
    assert lost - {()} == NEEDED[payload]


async def test_a_wrong_type_in_a_refusal_leaves_it_a_refusal() -> None:
    cases = [body for shape in SHAPES["error"] for _, body in with_each_wrong(shape)]
    async with talking(*[answer(as_json(body), 422) for body in cases], seconds=30) as (client, server):
        for _ in cases:
            with pytest.raises(ServiceError) as caught:
                await client.get_call("c")

            assert caught.value.status == 422
            assert str(caught.value).isprintable()

    assert len(server.seen) == len(cases)
