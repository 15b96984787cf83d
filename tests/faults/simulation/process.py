"""One process of a simulated run: an MCP server on its ledger, which can be killed or stopped at
any step.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeVar

import anyio
import anyio.abc
from mcp import Client
from starlette.types import Message, Receive, Scope, Send

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import NotSignedInError
from kallyai_mcp.calls.calls import Calls
from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.calls.delivery import Delivery
from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.ledger.base import Ledger, Tx
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.confirmations import Confirmations
from kallyai_mcp.tools.context import AppContext, SignInLink
from tests.faults.simulation.ledgers import LedgerPlace
from tests.faults.simulation.plan import Plan
from tests.faults.simulation.service import SimulatedService
from tests.faults.simulation.world import ProcessClock, World

Result = TypeVar("Result")

TIMING = Timing(reread_others=1, watch_active=20, watch_idle=20)
"""Production's times, but for the pauses between two looks into the ledger, which cost the most
here.
"""

_KEY = b"k" * 32


class SignIn:
    """Who is signed in on a machine; a token source, and the tools' `SignInService`.

    `name` is the account, or the last one if nobody `is_signed_in`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_signed_in = True

    async def key(self) -> AccountKey:
        """The account as the ledger has it."""
        if not self.is_signed_in:
            raise NotSignedInError("Nobody is signed in")
        return AccountKey("http://service", self.name)

    async def access_token(self) -> str:
        return f"token-of-{(await self.key()).account}"

    async def renew(self, rejected: str) -> str:
        raise NotSignedInError(f"{len(rejected)} characters were refused")

    async def signed_in(self) -> str | None:
        return self.name if self.is_signed_in else None

    async def link(self) -> SignInLink | None:
        return None

    async def wait_until_signed_in(self, seconds: float) -> bool:
        return seconds < 0


class Process:
    """An MCP server and the client that is connected to it.

    Everything that the server does beyond itself passes `_step`: each use of its ledger and of the
    service, before and after. There it can be stopped or killed (`at_step`), so every step of a
    call is as likely as any other. `ended_at` is when it was killed or told to end; None if it
    lives to the end of the run. `is_read`: its client reads its pipe.
    """

    client: Client

    def __init__(
        self,
        name: str,
        world: World,
        service: SimulatedService,
        place: LedgerPlace,
        sign_in: SignIn,
        plan: Plan,
        ahead: float,
        *,
        discloses: bool = True,
    ) -> None:
        self.name = name
        self.place = place
        self.clock = ProcessClock(world, ahead)
        self.sign_in = sign_in
        self._world = world
        self._service = service
        self._is_over_pipes = not all(ask.reads for ask in plan.asks)
        self._delivery: Delivery | None = None
        self.is_read = True
        self._settings = Settings(
            wait_seconds=1000,
            confirm=plan.confirm,
            disclosure=discloses,
            calls_per_hour=plan.calls_per_hour,
            keep_days=plan.keep_days,
        )
        self._policy = CallPolicy(self._settings)
        self._timing = replace(TIMING, settings=self._settings)
        self._database = place.open(self.clock.now)
        self._goes_on = anyio.Event()
        self._goes_on.set()
        self._is_over = False
        self._using = 0
        self._stop = anyio.Event()
        self.ended = anyio.Event()
        self.ended_at: datetime | None = None
        self._resuming: asyncio.Future[None] | None = None
        self.steps = 0
        self.at_step: dict[int, float | Literal["kill"]] = {}

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Serve until `end` or the end of the run."""
        server = build_server(self._context)
        async with Client(server, mode="legacy") as self.client:
            task_status.started()
            await self._stop.wait()
            # The rest of a process that was killed ends with the run, and reaches nothing any more.
            self._is_over = self.ended.is_set()
            self._goes_on.set()
            if self._resuming is not None:
                self._resuming.cancel()
        self.ended.set()

    async def read(self) -> None:
        """The client reads the pipe to its end."""
        while self._delivery is not None and self._delivery.has_undelivered:
            await self._delivery.answer_read(next(iter(self._delivery._undelivered))[1])  # noqa: SLF001 - the SDK hides the ids

    async def kill(self) -> None:
        """End it without a further step of its own."""
        if self.ended.is_set():
            return
        self._hold()  # until the end of the run
        # Nothing holds a process that is ending, but it reaches nothing any more.
        self._is_over = self._stop.is_set()
        self.ended_at = self._world.now()
        self.ended.set()
        # A tool that waits no longer cancels this step, but not the death.
        with anyio.CancelScope(shield=True):
            while self._using:  # noqa: ASYNC110 - a thread can't be killed, so it ends first
                await anyio.sleep(0.0005)
        self._database.kill()

    async def terminate(self) -> None:
        """End it in order, as on SIGTERM."""
        self.ended_at = self.ended_at or self._world.now()
        self._stop.set()
        await self.ended.wait()

    def finish(self) -> None:
        """The run is over."""
        self._stop.set()

    def stop(self, *, machine: bool) -> None:
        """Let it take no step until `resume`; with its `machine`, the monotonic clock stands still
        too.
        """
        if not self.ended.is_set():
            self._hold()
            if machine:
                self.clock.freeze()

    def resume(self) -> None:
        """Let it go on after `stop`."""
        if not self.ended.is_set():
            self.clock.thaw()
            self._goes_on.set()

    async def awake(self) -> None:
        """Wait until it is not stopped, or has ended."""
        while not self._goes_on.is_set() and not self.ended.is_set():
            await self._world.sleep(5)

    def _hold(self) -> None:
        if self._goes_on.is_set() and not self._stop.is_set():
            self._goes_on = anyio.Event()

    @asynccontextmanager
    async def _context(self) -> AsyncIterator[AppContext]:
        ledger = Ledger(_SteppedDatabase(self), policy=self._policy, timing=self._timing)
        api = KallyAI(
            "http://service",
            tokens=self.sign_in,
            user_agent=self.name,
            app=self._stepped_service,
            retry_backoff=0,
        )
        context = CallContext(
            lambda: api, self.sign_in.key, lambda: ledger, timing=self._timing, clock=self.clock
        )
        async with aclosing(ledger.database), Calls(context) as calls:
            self._delivery = calls.delivery
            self._delivery.delivers_when_read = self._is_over_pipes
            yield AppContext(
                api=lambda: api,
                calls=calls,
                sign_in=self.sign_in,
                timezone="America/New_York",
                settings=self._settings,
                now=self.clock.now,
                confirmations=Confirmations([_KEY]),
            )

    async def _step(self, *, may_suspend: bool = True) -> None:
        """Take a step.

        The machine can't be suspended between the last look at the clock and the request. No
        program can look at the clock and send in one step. If another task let the machine be
        suspended since its own last step, it had sent the request before.
        """
        self.steps += 1
        what = self.at_step.pop(self.steps, None)
        if isinstance(what, float) and not may_suspend:
            self.at_step[self.steps + 1] = what
            what = None
        match what:
            case "kill":
                await self.kill()
            # Nothing would wake a process that has ended.
            case float(seconds) if not self._stop.is_set():
                self.stop(machine=True)
                self._resuming = asyncio.ensure_future(self._resume_later(seconds))
                # A machine that is suspended does not cancel anything either.
                with anyio.CancelScope(shield=True):
                    await self._goes_on.wait()
        if may_suspend or self.ended.is_set():
            await self._goes_on.wait()

    async def _resume_later(self, seconds: float) -> None:
        await self._world.sleep(seconds)
        self.resume()

    async def _stepped_service(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stepped_send(message: Message) -> None:
            await self._step()
            if not self._is_over:
                await send(message)

        await self._step(may_suspend=False)
        if self._is_over:
            raise ConnectionResetError("the process is gone")
        await self._service(scope, receive, stepped_send)

    async def use_database(self, use: Callable[[], Awaitable[Result]]) -> Result:
        """Use the ledger, unless it fails or the process is gone."""
        await self._step()
        if self._is_over or self.place.failure == "before":
            raise LedgerUnavailableError("The ledger can't be used")
        self._using += 1
        try:
            with self._world.working():
                result = await use()
        finally:
            self._using -= 1
        await self._step()
        if self.place.failure == "after":
            raise LedgerUnavailableError("The ledger did not confirm")
        return result


class _SteppedDatabase:
    """The database of a process, each use being two steps."""

    system = "sqlite"

    def __init__(self, process: Process) -> None:
        self._process = process
        self._database = process._database  # noqa: SLF001 - of this module

    async def read(self, work: Callable[[Tx], Any]) -> Any:
        return await self._process.use_database(lambda: self._database.read(work))

    async def write(
        self,
        work: Callable[[Tx], Any],
        account: AccountKey | None = None,
        *,
        is_durable: bool = True,
    ) -> Any:
        write = partial(self._database.write, work, account, is_durable=is_durable)
        try:
            return await self._process.use_database(write)
        finally:
            self._process.place.changes += 1

    def version(self) -> object:
        return self._process.place.version()

    def has_lease(self) -> bool:
        return self._database.has_lease()

    async def take_lease(self) -> str:
        return await self._process.use_database(self._database.take_lease)

    async def aclose(self) -> None:
        with self._process._world.working():  # noqa: SLF001 - of this module
            await self._database.aclose()
