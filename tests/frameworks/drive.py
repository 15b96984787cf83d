"""Runs one client with one server over several transports at once; prints what it observed as a
line of JSON.

    python -m tests.frameworks.drive FRAMEWORK NAME TIMEOUT WHERE ...

It runs in the framework's own environment. The first time the client's time-out is shorter than the
wait, so it times out while the call is in progress. Then it has its own time-out, and asks for the
same call. A place is a command, or a URL that ends in /mcp or /sse. `node/drive.mjs` does the same
in JavaScript.
"""

import asyncio
import contextlib
import importlib.util
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

CALL = {
    "task_category": "general",
    "task_description": "Ask whether they are open tonight",
    # The sandbox's number that keeps the assistant on hold, longer than every wait.
    "respondent_phone": "+12025550110",
}

_IN_PROGRESS = re.compile("[Ii]n[ _]progress|Being checked")
_NOT_AGAIN = re.compile('[Nn]o new call was placed|"placed_now": ?false')
_EARLY = 0.2  # how many seconds too early a timer may end


async def drive(framework: str, name: str, gives_up_after: int, where: str) -> dict[str, Any]:
    """What is seen of a client in one place.

    `timed_out` is its error, or its answer; that took `seconds`.
    """
    client = _loaded(framework)
    default = client.TIMEOUT
    client.TIMEOUT = (
        {key: timedelta(seconds=gives_up_after) for key in default}
        if isinstance(default, dict)
        else gives_up_after
    )
    call = CALL | {"business_name": name_at(name, where)}
    began = time.monotonic()
    try:
        _, timed_out = await client.use(where, "make_call", call | {"wait_seconds": 30})
    except Exception as error:  # noqa: BLE001 - each framework has its own error for a time-out
        timed_out = f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - began
    client.TIMEOUT = default
    tools, answer = await client.use(where, "make_call", call | {"wait_seconds": 1})
    answers = [answer]
    while _IN_PROGRESS.search(answers[-1]) and len(answers) < 4:
        follow = {"call_id": re.findall(r"\bt-[0-9a-f-]{8,}", answers[-1])[0], "wait_seconds": 45}
        answers.append((await client.use(where, "get_call", follow))[1])
    return {"tools": tools, "timed_out": timed_out, "seconds": seconds, "answers": answers}


def _loaded(framework: str) -> Any:
    """The client's module, loaded for one place alone: the time-out is the module's own."""
    spec = importlib.util.spec_from_file_location(
        f"on_{framework}", Path(__file__).parent / f"on_{framework}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def name_at(name: str, where: str) -> str:
    """The name of the business that is called in one place."""
    return f"{name} {where.rpartition('/')[2] if where.startswith('http') else 'stdio'}"


def find_faults(
    seen: Mapping[str, Any], calls: Sequence[Mapping[str, Any]], timeout: float
) -> list[str]:
    """The faults in what was seen (`drive`), a line each; `calls` are those to that business in the
    server's list.
    """
    if "failed" in seen:
        return [seen["failed"]]
    faults = []
    answers, timed_out, patient = seen["answers"], seen["timed_out"], seen.get("patient")
    if missing := {"make_call", "get_call", "list_calls"}.difference(seen["tools"]):
        faults.append(f"tools that were not offered: {', '.join(sorted(missing))}")
    if _IN_PROGRESS.search(timed_out) or "Booked" in timed_out:
        faults.append(f"the client did not time out: {timed_out}")
    if seen["seconds"] < timeout - _EARLY:  # how much later depends on the machine
        faults.append(
            f"the client gave up after {seen['seconds']:.1f} s, before its {timeout} s: {timed_out}"
        )
    if len(answers) < 2 or not _IN_PROGRESS.search(answers[0]) or not _NOT_AGAIN.search(answers[0]):
        faults.append(f"when asked for again, the call was not found in progress: {answers[0]}")
    if [call.get("status") for call in calls] != ["answered"]:
        faults.append(f"there should be one answered call: {[dict(call) for call in calls]}")
    elif str(calls[0]["call_id"]) not in answers[-1]:
        faults.append(f"the last answer does not have its outcome: {answers[-1]}")
    if patient is not None and '"outcome":"answered"' not in patient:
        faults.append(
            "a client that waits on with each message of progress did not get the outcome: "
            f"{patient}"
        )
    return faults


async def _main(
    framework: str, name: str, gives_up_after: str, *places: str
) -> list[dict[str, Any]]:
    return await asyncio.gather(
        *(drive(framework, name, int(gives_up_after), where) for where in places)
    )


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # a framework may print
        found = asyncio.run(_main(*sys.argv[1:]))
    print(json.dumps(found))
