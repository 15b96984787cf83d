"""Work that goes on while something else is done; this module imports nothing of the package."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio


@asynccontextmanager
async def beside(work: Callable[..., Coroutine[Any, Any, object]], *arguments: object) -> AsyncIterator[None]:
    """Run `work` while the block runs, and cancel it at the end. An error of the block is raised as it is.

    Args:
        work: Must raise no error.
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
