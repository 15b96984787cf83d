"""Runs one snippet with one server, in the framework's own environment; prints what it observed as a line of JSON.

    python -m tests.frameworks.drive FRAMEWORK NAME WHERE TIMEOUT

The first time the client's time-out is shorter than the wait, so it times out while the call is in progress. The second
time the snippet runs unchanged and asks for the same call.
"""

import asyncio
import contextlib
import importlib
import io
import json
import sys
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from tests.frameworks import models
from tests.frameworks.scripted_model import Script, call_arguments

TASK = "Call them and ask whether they are open tonight."


@dataclass
class Observed:
    """What was observed of a framework.

    Attributes:
        tools: The names of the tools that it offered to the model.
        timed_out: The error of the client that timed out, or its result if it did not.
        answers: The tools' answers when the same call was asked for again.
        result: The result of the snippet then.
    """

    tools: list[str]
    timed_out: str
    answers: list[str]
    result: str


def drive(framework: str, name: str, where: str, timeout: int) -> Observed:
    """Run the snippet of `framework` twice for one call.

    Args:
        framework: The name of the snippet's module, without `on_`.
        name: The name of the business that is called.
        where: A command, or a URL that ends in /mcp or /sse.
        timeout: The time-out of the first client, in seconds.
    """
    snippet: Any = importlib.import_module(f"tests.frameworks.on_{framework}")
    run = _without_a_model if framework == "plain_sdk" else _with_a_model
    default = snippet.TIMEOUT
    snippet.TIMEOUT = {key: timedelta(seconds=timeout) for key in default} if isinstance(default, dict) else timeout
    try:
        timed_out = asyncio.run(run(snippet, framework, name, where, 30)).result
    except Exception as error:  # noqa: BLE001 - each framework has its own error for a time-out; the checks look at it
        inner = _innermost(error)
        timed_out = f"{type(inner).__name__}: {inner}"
    snippet.TIMEOUT = default
    observed = asyncio.run(run(snippet, framework, name, where, 1))
    observed.timed_out = timed_out
    return observed


async def _with_a_model(snippet: Any, framework: str, name: str, where: str, wait_seconds: float) -> Observed:
    script = Script(name, wait_seconds)
    model = getattr(models, framework)(script)
    result = await snippet.ask(TASK, where, model)
    return Observed(script.tools, "", script.answers, result)


async def _without_a_model(snippet: Any, _: str, name: str, where: str, wait_seconds: float) -> Observed:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        await snippet.place_call(where, call_arguments(name) | {"wait_seconds": wait_seconds})
    tools, *answers = printed.getvalue().splitlines()
    return Observed(sorted(tools.split()[1:]), "", answers, "\n".join(answers))


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    framework_name, place, server, seconds = sys.argv[1:]
    print(json.dumps(asdict(drive(framework_name, place, server, int(seconds)))))
