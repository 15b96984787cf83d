"""A system of two workers over HTTP behind a load balancer, with the ledger in PostgreSQL; one of them ends."""

import random
from contextlib import AsyncExitStack
from typing import Any, Self

import anyio
import anyio.abc
import anyio.to_thread
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from tests.faults.load_balancer import ADDRESS, LoadBalancer
from tests.faults.plans import DatabaseTrouble, Plan, Step
from tests.faults.system import Row, Server, ServerFailedError, System, any_is_at, poll_seconds
from tests.faults.worker_pair import WorkerPair


class BalancedClient(Server):
    """A client of the load balancer; to end this server is to end one of the workers."""

    def __init__(self, client: Client, name: str, system: "TwoWorkersSystem") -> None:
        super().__init__(client, name)
        self._system = system

    async def kill(self) -> None:
        """See `Server.kill`."""
        await self._system.end_worker(at_once=True)

    async def terminate(self) -> None:
        """See `Server.terminate`."""
        await self._system.end_worker(at_once=False)

    async def leave(self) -> None:
        """The same as `terminate`: an HTTP server has no stdin that could be closed."""
        await self.terminate()


class TwoWorkersSystem(System):
    """One run with two workers that may have served other runs.

    The first tool call goes to the worker that will end; the seed decides where the others go.

    Args:
        plan: The faults, and whether the worker that ends is started again.
        workers: The workers; no other run uses them at the same time.
    """

    _tasks: anyio.abc.TaskGroup

    def __init__(self, plan: Plan, workers: WorkerPair) -> None:
        super().__init__(plan, workers.service)
        self._workers = workers
        rng = random.Random(plan.seed)  # noqa: S311 - it has to be repeatable, not secret
        self._will_end = rng.sample(workers.pair, 2)
        self._balancer = LoadBalancer(workers.pair, rng, self.note)
        self._clients = 0
        self._database_works = anyio.Event()
        if plan.database is None:
            self._database_works.set()
        self._stack = AsyncExitStack()
        self._earlier: set[str] = set()
        self._stderr_before = {worker.name: len(worker.stderr) for worker in workers.pair}

    async def __aenter__(self) -> Self:
        self._earlier |= {call["call_id"] for call in await self.service.placed()}
        self._earlier |= {row["tracking_id"] for row in await self.rows()}
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._tasks.cancel_scope.cancel()
        await self._stack.aclose()
        await self._balancer.aclose()

    # The workers

    async def open(self) -> Server:
        """Connect one more client to the load balancer; the first time, both workers run. See `System.open`."""
        if not self._clients:
            await self.service.arm(self.plan.faults.model_copy(update={"faults": []}))
            await self._workers.start()
        self._clients += 1
        name = f"client {self._clients}"
        try:
            client: BalancedClient = await self._tasks.start(self._host, name)
        except (MCPError, ExceptionGroup) as error:
            raise ServerFailedError(f"{name} can't connect: {error!r}") from error
        return client

    async def _host(self, name: str, *, task_status: anyio.abc.TaskStatus[BalancedClient]) -> None:
        async with (
            httpx2.AsyncClient(transport=_SharedTransport(self._balancer), timeout=None) as http,
            Client(streamable_http_client(ADDRESS, http_client=http), mode=self.plan.mode) as client,
        ):
            task_status.started(BalancedClient(client, name, self))
            await anyio.sleep_forever()

    async def arm_faults(self) -> None:
        """See `System.arm_faults`; the next tool call goes to the worker that will end."""
        await super().arm_faults()
        self._balancer.first = self._will_end[0]
        if self.plan.database is not None:
            self._tasks.start_soon(self._trouble_database, self.plan.database)

    async def _trouble_database(self, what: DatabaseTrouble) -> None:
        server = self._workers.database
        begin, end = {
            "is killed": (server.kill, server.start),
            "is restarted": (server.stop, server.start),
            "hangs": (server.pause, server.resume),
        }[what]
        with anyio.CancelScope(shield=True):  # the next run needs it
            await anyio.sleep(self.plan.database_at)
            self.note(f"the database {what}")
            await anyio.to_thread.run_sync(begin)
            await anyio.sleep(self.plan.database_seconds)
            await anyio.to_thread.run_sync(end)
            self.note("the database works again")
        self._database_works.set()

    async def disarm_faults(self) -> dict[str, int]:
        """See `System.disarm_faults`."""
        await self._database_works.wait()
        fired = await super().disarm_faults()
        return fired | ({f"the database {self.plan.database}": 1} if self.plan.database is not None else {})

    async def end_worker(self, *, at_once: bool) -> None:
        """End the next worker, and start it again if the plan says so."""
        worker = self._will_end.pop(0)
        if not self._will_end:  # it is the last one, so the other one has to run
            await self._database_works.wait()  # no worker starts without it
            await self._workers.start()
        await worker.end(at_once=at_once)
        self.note(f"{worker.name} ended")
        if self.plan.is_restarted:
            self._workers.restart(worker, after=self._database_works)

    def stderr(self) -> dict[str, str]:
        """See `System.stderr`."""
        return {worker.name: worker.stderr[self._stderr_before[worker.name] :] for worker in self._workers.pair}

    # The service and the ledger

    def is_new(self, id_: str) -> bool:
        """See `System.is_new`."""
        return id_ not in self._earlier

    async def placed(self) -> list[dict[str, Any]]:
        """See `System.placed`."""
        return [call for call in await self.service.placed() if self.is_new(call["call_id"])]

    async def rows(self) -> list[Row]:
        """See `System.rows`."""
        return [row for row in await self._workers.rows() if self.is_new(row["tracking_id"])]

    async def wait_for(self, step: Step, seconds: float) -> None:
        """See `System.wait_for`."""
        with anyio.move_on_after(seconds):
            while not any_is_at(step, await self.rows()):  # noqa: ASYNC110 - the database has no event for it
                await anyio.sleep(poll_seconds(step))


class _SharedTransport(httpx2.AsyncBaseTransport):
    """The load balancer as the transport of one client, which must not close it."""

    def __init__(self, balancer: LoadBalancer) -> None:
        self.handle_async_request = balancer.handle_async_request  # type: ignore[method-assign]
