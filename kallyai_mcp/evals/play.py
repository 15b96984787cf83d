"""Plays the callees of a run over the sandbox's play interface."""

import json
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any
from urllib.parse import SplitResult, urlsplit

import anyio
from anyio import to_thread

from kallyai_mcp.evals.callee import Callee
from kallyai_mcp.sandbox.simulator.scenario import Turn

_PATH = "/_sandbox/play/calls"
_LOOK_SECONDS = 0.2
_MOST_TURNS = 20
"""Turns of the callee in one call, before it hangs up."""

_SECONDS = 30.0


class _EndedError(Exception):
    """The call has ended before the callee's turn."""


async def play_callees(url: str, callee: Callee) -> None:
    """Pick up each call of the sandbox at `url`, and speak in it until it ends; runs until it is
    canceled.
    """
    async with anyio.create_task_group() as tasks:
        picked_up: set[str] = set()
        while True:
            for call in await _incoming(url):
                if call["call_id"] not in picked_up:
                    picked_up.add(call["call_id"])
                    tasks.start_soon(_speak, url, call["call_id"], callee)
            await anyio.sleep(_LOOK_SECONDS)


async def _incoming(url: str) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = (await _get(f"{url}{_PATH}"))["calls"]
    return [call for call in calls if call["state"] == "incoming"]


async def _speak(url: str, call_id: str, callee: Callee) -> None:
    """One call, from its beginning to its end."""
    path = f"{url}{_PATH}/{call_id}"
    with suppress(_EndedError):
        call = await _post(f"{path}/pick-up", {})
        for _ in range(_MOST_TURNS):
            if call["state"] != "in_progress":
                return
            turn = await callee.turn(call)
            call = await _post(f"{path}/turns", _body(turn))
        await _post(f"{path}/turns", _body(Turn(does="hangs_up")))


def _body(turn: Turn) -> dict[str, Any]:
    return turn.model_dump(mode="json", exclude_none=True)


async def _get(url: str) -> Any:
    return await to_thread.run_sync(_answer, "GET", urlsplit(url), None)


async def _post(url: str, body: dict[str, Any]) -> Any:
    """Raises `_EndedError` if the call has ended in the meantime."""
    return await to_thread.run_sync(_answer, "POST", urlsplit(url), json.dumps(body))


def _answer(method: str, url: SplitResult, content: str | None) -> Any:
    """What the sandbox answers to a request."""
    connection = HTTPConnection(url.hostname or "", url.port, timeout=_SECONDS)
    with closing(connection):
        connection.request(method, url.path, content, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
    if response.status == HTTPStatus.CONFLICT:
        raise _EndedError
    if response.status != HTTPStatus.OK:
        raise RuntimeError(f"the sandbox answered {response.status}: {text.decode()}")
    return json.loads(text)
