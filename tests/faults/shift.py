"""A world of two workers over HTTP: a balancer in front of them, the ledger in Redis behind them, and one that dies."""

import random
from contextlib import AsyncExitStack
from typing import Any, Self

import anyio
import anyio.abc
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from kallyai_mcp.calls.ledger.redis_ledger import RedisLedger
from tests.faults.balancer import ADDRESS, Balancer
from tests.faults.plan import Plan, Step
from tests.faults.workers import Worker, Workers
from tests.faults.world import Row, Server, ServerFailed, World, any_has_come_to, glance

_KEYS = "{kallyai-mcp}"
_OPTIONAL = ("sent_at", "lost_at", "ended_at", "call_id", "outcome", "error")
_REFUSED = {
    "task_category": "general",
    "task_description": "A call that the service refuses",
    "respondent_phone": "+12025550121",
}


class AccessPolicy(Server):
    """A client of the balancer's; what ends is one of the workers behind it."""

    def __init__(self, client: Client, name: str, shift: "Shift") -> None:
        super().__init__(client, name)
        self._shift = shift

    async def kill(self) -> None:
        """See `Server.kill`."""
        await self._shift.lose_one(at_once=True)

    async def terminate(self) -> None:
        """See `Server.terminate`."""
        await self._shift.lose_one(at_once=False)

    async def leave(self) -> None:
        """The same as `terminate`: there is no stdin to be closed."""
        await self.terminate()


class Shift(World):
    """One run on workers that may have done others before.

    The first call of all goes to the worker that is to die; where the others go is the seed's choice.

    Args:
        plan: Which faults, and what becomes of the worker that dies.
        workers: Nobody else's meanwhile.
    """

    _tasks: anyio.abc.TaskGroup

    def __init__(self, plan: Plan, workers: Workers) -> None:
        super().__init__(plan, workers.service)
        self._workers = workers
        rng = random.Random(plan.seed)  # noqa: S311 - to be repeated, not to be secret
        self._doomed = rng.sample(workers.pair, 2)
        self._balancer = Balancer(workers.pair, rng, self.note)
        self._doors: list[AccessPolicy] = []
        self._owners: dict[str, str] = {}  # who each worker is in the ledger
        self._stack = AsyncExitStack()
        self._earlier: set[str] = set()
        self._said = {worker.name: len(worker.said) for worker in workers.pair}

    async def __aenter__(self) -> Self:
        await self._look_back()
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._tasks.cancel_scope.cancel()
        await self._stack.aclose()
        await self._balancer.aclose()

    async def _look_back(self) -> None:
        """What there is now is not of this run."""
        self._earlier |= {call["call_id"] for call in await self.service.placed()}
        self._earlier |= {row["tracking_id"] for row in await self.rows()}

    # The workers

    async def open(self) -> Server:
        """Connect one more client to the balancer, with both workers behind it at first; see `World.open`."""
        if not self._doors:
            await self.service.arm(self.plan.faults.model_copy(update={"faults": []}))
            await self._workers.complete()
        name = f"client {len(self._doors) + 1}"
        try:
            door: AccessPolicy = await self._tasks.start(self._host, name)
        except (MCPError, ExceptionGroup) as error:
            raise ServerFailed(f"{name} can't connect: {error!r}") from error
        self._doors.append(door)
        return door

    async def _host(self, name: str, *, task_status: anyio.abc.TaskStatus[AccessPolicy]) -> None:
        async with (
            httpx2.AsyncClient(transport=_Borrowed(self._balancer), timeout=None) as http,
            Client(streamable_http_client(ADDRESS, http_client=http), mode=self.plan.mode) as client,
        ):
            task_status.started(AccessPolicy(client, name, self))
            await anyio.sleep_forever()

    async def misbehave(self) -> None:
        """See `World.misbehave`; the next call goes to the worker that is to die."""
        if self.plan.announced:
            await self._recognise(self._doomed[0])
        await super().misbehave()
        self._balancer.first = self._doomed[0]

    async def lose_one(self, *, at_once: bool) -> None:
        """End the worker whose turn it is, and have it come back if the plan says so."""
        worker = self._doomed.pop(0)
        if not self._doomed:  # the last one, so the other has to be back
            await self._workers.complete()
        await worker.end(at_once=at_once)
        self.note(f"{worker.name} has gone")
        if worker.name in self._owners:
            await self._announce(self._owners[worker.name])
        if self.plan.comes_back:
            self._workers.bring_back(worker)

    async def _recognise(self, worker: Worker) -> None:
        """Learn who the worker is in the ledger: it places a call that is refused."""
        self._balancer.pinned = worker
        await self._doors[0].client.call_tool("make_call", _REFUSED)
        self._balancer.pinned = None
        [row] = await self.rows()
        self._owners[worker.name] = row["owner"]
        await self._look_back()

    async def _announce(self, owner: str) -> None:
        """Tell the ledger that it has gone, so that nobody needs to wait until it has been silent for long."""
        ledger = RedisLedger(self._workers.redis.url)
        try:
            await ledger.leave(owner)
        finally:
            await ledger.aclose()

    def stderr(self) -> dict[str, str]:
        """See `World.stderr`."""
        return {worker.name: worker.said[self._said[worker.name] :] for worker in self._workers.pair}

    # The service and the ledger

    def is_new(self, id_: str) -> bool:
        """See `World.is_new`."""
        return id_ not in self._earlier

    async def placed(self) -> list[dict[str, Any]]:
        """See `World.placed`."""
        return [call for call in await self.service.placed() if self.is_new(call["call_id"])]

    async def rows(self) -> list[Row]:
        """See `World.rows`."""
        names = [str(name) for name in await self._workers.eyes.zrange(f"{_KEYS}:calls", 0, -1)]
        names = [name for name in names if self.is_new(name)]
        async with self._workers.eyes.pipeline() as pipeline:
            for name in names:
                pipeline.hgetall(f"{_KEYS}:call:{name}")
            found = await pipeline.execute()
        return [dict.fromkeys(_OPTIONAL) | row | {"handed_out": int(row["handed_out"])} for row in found]

    async def until(self, step: Step, seconds: float) -> None:
        """See `World.until`."""
        with anyio.move_on_after(seconds):
            while not any_has_come_to(step, await self.rows()):  # noqa: ASYNC110 - Redis tells nobody
                await anyio.sleep(glance(step))


class _Borrowed(httpx2.AsyncBaseTransport):
    """The balancer for one client, which does not close it when it goes."""

    def __init__(self, balancer: Balancer) -> None:
        self.handle_async_request = balancer.handle_async_request  # type: ignore[method-assign]  # it does nothing else
