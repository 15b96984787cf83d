"""Event loops in tests that are no coroutines."""

from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, TypeVar

import anyio

Result = TypeVar("Result")


def run_alone(work: Callable[..., Awaitable[Result]], *arguments: Any, **options: Any) -> Result:
    """Do `work` as `anyio.run` does, also while an asynchronous fixture of a module is in use.

    AnyIO notes in the context that its own loop runs, until the fixture has ended.
    """
    return Context().run(anyio.run, work, *arguments, **options)
