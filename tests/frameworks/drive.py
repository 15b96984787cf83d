"""Runs one client with one server over several transports at once; prints what it observed as a line of JSON.

    python -m tests.frameworks.drive FRAMEWORK NAME TIMEOUT WHERE ...

It runs in the framework's own environment. The first time the client's time-out is shorter than the wait, so it times
out while the call is in progress. The second time the client has its own time-out, and asks for the same call.
`node/drive.mjs` does the same in JavaScript.
"""

import asyncio
import contextlib
import importlib.util
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from tests.frameworks import models
from tests.frameworks.models import Script, call_arguments

WAIT_SECONDS = 30
"""How long the first request may wait at the server: a client that gives up sooner has timed out."""

TOOLS = {"make_call", "get_call", "list_calls"}

_IN_PROGRESS = re.compile("[Ii]n[ _]progress")
_EARLY = 0.2
"""How many seconds too early a timer may end."""

_NOT_AGAIN = re.compile('[Nn]o new call was placed|"placed_now": ?false')

TASK = "Call them and ask whether they are open tonight."


@dataclass
class Observed:
    """What was observed of a client over one transport.

    `timed_out` is the error of the client that timed out, or its result if it did not; it took `seconds`. `answers`
    are the tools' answers when the same call was asked for again, and `error` says why there are none.
    """

    tools: list[str]
    timed_out: str
    answers: list[str]
    result: str
    error: str = ""
    seconds: float = 0.0


def drive(framework: str, name: str, timeout: int, places: Sequence[str]) -> list[Observed]:
    """Run the client of `framework` twice for one call in each place, in a thread for each.

    `name` begins the name of the business; the first client times out after `timeout` seconds. A place is a command, or
    a URL that ends in /mcp or /sse.
    """
    with ThreadPoolExecutor(len(places)) as pool:
        return list(pool.map(partial(_drive, framework, name, timeout), places))


def _drive(framework: str, name: str, timeout: int, where: str) -> Observed:
    snippet = _loaded(framework)
    run, default = partial(_run, snippet, framework, name_at(name, where), where), snippet.TIMEOUT
    snippet.TIMEOUT = {key: timedelta(seconds=timeout) for key in default} if isinstance(default, dict) else timeout
    began = time.monotonic()
    gave_up = run(wait_seconds=WAIT_SECONDS)
    seconds = time.monotonic() - began
    snippet.TIMEOUT = default
    observed = run(wait_seconds=1)
    observed.timed_out, observed.seconds = gave_up.error or gave_up.result, seconds
    return observed


def _loaded(framework: str) -> Any:
    """The client's module, loaded for one place alone: the time-out is the module's own."""
    spec = importlib.util.spec_from_file_location(f"on_{framework}", Path(__file__).parent / f"on_{framework}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def name_at(name: str, where: str) -> str:
    """The name of the business that is called over one transport."""
    return f"{name} {where.rpartition('/')[2] if where.startswith('http') else 'stdio'}"


def _run(snippet: Any, framework: str, name: str, where: str, *, wait_seconds: float) -> Observed:
    run = _without_a_model if hasattr(snippet, "place_call") else partial(_with_a_model, framework)
    try:
        return asyncio.run(run(snippet, name, where, wait_seconds))
    except Exception as error:  # noqa: BLE001 - each framework has its own error for a time-out; the checks look at it
        inner = _innermost(error)
        return Observed([], "", [], "", f"{type(inner).__name__}: {inner}")


async def _with_a_model(framework: str, snippet: Any, name: str, where: str, wait_seconds: float) -> Observed:
    script = Script(name, wait_seconds)
    model = getattr(models, framework)(script)
    result = await snippet.ask(TASK, where, model)
    return Observed(script.tools, "", script.answers, result)


async def _without_a_model(snippet: Any, name: str, where: str, wait_seconds: float) -> Observed:
    printed: list[str] = []
    snippet.print = lambda *words: printed.append(" ".join(words))
    await snippet.place_call(where, call_arguments(name) | {"wait_seconds": wait_seconds})
    tools, *answers = printed
    return Observed(sorted(tools.split()[1:]), "", answers, "\n".join(answers))


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def find_faults(observed: Mapping[str, Any], calls: Sequence[Mapping[str, Any]], timeout: float) -> list[str]:
    """The faults in `Observed` as JSON, a line each; `calls` are those to that business in the server's list."""
    if observed.get("error"):
        return [str(observed["error"])]
    faults = []
    answers = observed["answers"]
    if missing := TOOLS.difference(observed["tools"]):
        faults.append(f"tools that were not offered: {', '.join(sorted(missing))}")
    if _IN_PROGRESS.search(observed["timed_out"]) or "Booked" in observed["timed_out"]:
        faults.append(f"the client did not time out: {observed['timed_out']}")
    if observed["seconds"] < timeout - _EARLY:  # how much later depends on the machine
        faults.append(
            f"the client gave up after {observed['seconds']:.1f} s, before its {timeout} s: {observed['timed_out']}"
        )
    if len(answers) < 2 or not _IN_PROGRESS.search(answers[0]) or not _NOT_AGAIN.search(answers[0]):
        faults.append(f"when asked for again, the call was not found in progress: {answers[:1]}")
    if [call.get("outcome") for call in calls] != ["answered"]:
        faults.append(f"there should be one answered call: {[dict(call) for call in calls]}")
    elif str(calls[0]["call_id"]) not in observed["result"]:
        faults.append(f"the result does not have its outcome: {observed['result']}")
    patient = observed.get("patient")
    if patient is not None and '"outcome":"answered"' not in patient:
        faults.append(f"a client that waits on with each message of progress did not get the outcome: {patient}")
    return faults


def was_too_slow(observed: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the run shows nothing of a call in progress.

    The client timed out before its server had started: then the second request placed the first and only call; if the
    first one had placed a call too, there would be two. Or the call had ended before the second request.
    """
    if not observed["answers"] or len(calls) != 1:
        return False
    answer = observed["answers"][0]
    return (_IN_PROGRESS.search(answer) is None) != (_NOT_AGAIN.search(answer) is None)


if __name__ == "__main__":
    framework_name, business, seconds, *servers = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):  # a framework may print
        found = drive(framework_name, business, int(seconds), servers)
    print(json.dumps([asdict(one) for one in found]))
