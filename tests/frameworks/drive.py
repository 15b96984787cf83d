"""Runs one snippet against one server, inside the framework's own environment; prints what it saw as a line of JSON.

    python -m tests.frameworks.drive FRAMEWORK NAME WHERE PATIENCE

First the client's time-out is made shorter than the wait, and it gives up while the phone rings. Then the snippet runs
as it stands and asks for the very same call.
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
from tests.frameworks.script import Script, errand

TASK = "Ring them and ask whether they are open tonight."


@dataclass
class Seen:
    """What a framework made of the server.

    Attributes:
        tools: The names of the tools that were offered.
        gave_up: What the impatient client made of its time-out.
        answers: What the tools answered when the same call was asked for again.
        last_word: What came out of the snippet.
    """

    tools: list[str]
    gave_up: str
    answers: list[str]
    last_word: str


def drive(framework: str, name: str, where: str, patience: int) -> Seen:
    """Run the snippet of `framework` twice for one call.

    Args:
        framework: As the snippet's module is called, without `on_`.
        name: Of the place that is rung.
        where: A command, or a URL that ends in /mcp or /sse.
        patience: The time-out of the client that gives up, in seconds.
    """
    snippet: Any = importlib.import_module(f"tests.frameworks.on_{framework}")
    run = _without_a_model if framework == "plain_sdk" else _with_a_model
    patient = snippet.TIMEOUT
    snippet.TIMEOUT = {key: timedelta(seconds=patience) for key in patient} if isinstance(patient, dict) else patience
    try:
        gave_up = asyncio.run(run(snippet, framework, name, where, 30)).last_word
    except Exception as error:  # noqa: BLE001 - how a framework tells of a time-out is its own affair, and is judged
        inner = _innermost(error)
        gave_up = f"{type(inner).__name__}: {inner}"
    snippet.TIMEOUT = patient
    seen = asyncio.run(run(snippet, framework, name, where, 1))
    seen.gave_up = gave_up
    return seen


async def _with_a_model(snippet: Any, framework: str, name: str, where: str, wait_seconds: float) -> Seen:
    script = Script(name, wait_seconds)
    model = getattr(models, framework)(script)
    last_word = await snippet.ask(TASK, where, model)
    return Seen(script.tools, "", script.answers, last_word)


async def _without_a_model(snippet: Any, _: str, name: str, where: str, wait_seconds: float) -> Seen:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        await snippet.ring(where, errand(name) | {"wait_seconds": wait_seconds})
    tools, *answers = printed.getvalue().splitlines()
    return Seen(sorted(tools.split()[1:]), "", answers, "\n".join(answers))


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    framework_name, place, server, seconds = sys.argv[1:]
    print(json.dumps(asdict(drive(framework_name, place, server, int(seconds)))))
