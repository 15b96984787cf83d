"""Runs work in the background of a block. This module imports nothing of the package."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio


@asynccontextmanager
async def background_task(work: Callable[..., Coroutine[Any, Any, object]], *arguments: object) -> AsyncIterator[None]:
    """A context that runs `work` until the end of the block. An error of the block is raised unchanged.

    Args:
        work: An async function that raises no error. It is canceled at the end.
        arguments: Its arguments.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, *arguments)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised below, since the task group would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
