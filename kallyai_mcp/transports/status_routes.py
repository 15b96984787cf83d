"""`/health` and `/ready` for load balancers. They are public, so many requests must cost no more than one."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_log = logging.getLogger(__name__)

READY_TIMEOUT = 2.0
"""The most seconds of one readiness check."""

REMEMBER_SECONDS = 2.0
"""How many seconds the results are kept before the checks run again."""

Check = Callable[[], Awaitable[object]]
"""A readiness check. It raises an exception if the part that it checks is not ready."""


def status_routes(checks: Mapping[str, Check], clock: Callable[[], float] = time.monotonic) -> list[Route]:
    """The routes. `checks` are the readiness checks by name; `clock` is monotonic, in seconds."""
    lock = anyio.Lock()
    results: dict[str, str] = {}
    checked_at = float("-inf")

    async def run(name: str, check: Check) -> None:
        results[name] = "unreachable"
        try:
            with anyio.fail_after(READY_TIMEOUT):
                await check()
        except Exception as error:  # noqa: BLE001 - any failure means that it is not ready
            _log.warning("not ready: %s: %s", name, type(error).__name__)
        else:
            results[name] = "ok"

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_: Request) -> Response:
        nonlocal checked_at
        async with lock:
            if clock() >= checked_at + REMEMBER_SECONDS:
                async with anyio.create_task_group() as tasks:
                    for name, check in checks.items():
                        tasks.start_soon(run, name, check)
                checked_at = clock()
            is_ready = all(state == "ok" for state in results.values())
            body = {"status": "ready" if is_ready else "not ready", "checks": dict(sorted(results.items()))}
        return JSONResponse(body, 200 if is_ready else 503)

    return [Route("/health", health), Route("/ready", ready)]
