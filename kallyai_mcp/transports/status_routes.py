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


class Readiness:
    """Runs readiness checks, one run at a time, and keeps their results for `REMEMBER_SECONDS`.

    `checks` are the checks by name; `clock` is monotonic, in seconds.
    """

    def __init__(self, checks: Mapping[str, Check], clock: Callable[[], float] = time.monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._lock = anyio.Lock()
        self._results: dict[str, str] = {}
        self._fresh_until = 0.0

    async def results(self) -> Mapping[str, str]:
        """`ok` or `unreachable` for each check, by name."""
        async with self._lock:
            if not self._results or self._clock() >= self._fresh_until:
                self._results = await self._run_all()
                self._fresh_until = self._clock() + REMEMBER_SECONDS
            return self._results

    async def _run_all(self) -> dict[str, str]:
        results = dict.fromkeys(sorted(self._checks), "unreachable")

        async def run(name: str, check: Check) -> None:
            try:
                with anyio.fail_after(READY_TIMEOUT):
                    await check()
            except Exception as error:  # noqa: BLE001 - any failure means that it is not ready
                _log.warning("not ready: %s: %s", name, type(error).__name__)
            else:
                results[name] = "ok"

        async with anyio.create_task_group() as tasks:
            for name, check in self._checks.items():
                tasks.start_soon(run, name, check)
        return results


def status_routes(readiness: Readiness) -> list[Route]:
    """The routes of `/health` and `/ready`."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_: Request) -> Response:
        results = await readiness.results()
        is_ready = all(state == "ok" for state in results.values())
        body = {"status": "ready" if is_ready else "not ready", "checks": results}
        return JSONResponse(body, 200 if is_ready else 503)

    return [Route("/health", health), Route("/ready", ready)]
