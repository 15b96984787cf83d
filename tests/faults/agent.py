"""What the agent does in one run, with the SDK's own client, and what it is told."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError

from tests.agent import Answer
from tests.faults.plan import Plan, Step
from tests.faults.world import Server, World

LONG = 60.0
"""Seconds after which a tool that was to answer within a few counts as hung."""

OPEN = ("in_progress", "unknown")
"""What `status` says while there is no outcome."""


@dataclass
class Ask:
    """One `make_call`, or one look at a call.

    Attributes:
        errand: The task that was asked for; None for a look.
        redial: It was to ring again on purpose.
        asked_at: When, on the event loop's clock.
        ended_at: When the client had an answer, or knew that it would get none.
        answer: What came; None when nothing did.
        words: What an onlooker would say of it.
    """

    errand: str | None
    redial: bool
    asked_at: float
    ended_at: float = math.inf
    answer: Answer | None = None
    words: str = "not answered"

    @property
    def is_open(self) -> bool:
        """Whether the agent was told that there is no outcome yet, and how to find the call again."""
        return self.answer is not None and self.answer.data.get("status") in OPEN

    @property
    def tracking_id(self) -> str | None:
        """What the agent was told to find the call again by."""
        return self.answer.data.get("tracking_id") if self.answer is not None else None

    @property
    def outcome(self) -> dict[str, Any] | None:
        """The outcome that the agent was told, if it was."""
        answered = self.answer is not None and not self.answer.is_error and "status" in self.answer.data
        return self.answer.data if self.answer is not None and answered and not self.is_open else None


class Agent:
    """One agent at its clients.

    Attributes:
        plan: What it is to do, and how.
        world: Where.
        asks: Everything that it has asked, and what came of it.
        killed_at: How far the call had come, each time that a server was killed.
    """

    def __init__(self, plan: Plan, world: World) -> None:
        self.plan = plan
        self.world = world
        self.asks: list[Ask] = []
        self.killed_at: list[Step] = []

    async def ready(self, number: int = 1, *, warm: bool = False) -> list[Server]:
        """Start so many servers, and only then have the service misbehave.

        Warm ones have done what is slow the first time, so that one instant is the same for all of them.
        """
        servers = [await self.world.open() for _ in range(number)]
        if warm:
            for server in servers:
                await self._use(server, "get_call", {"call_id": "no-such-call"})
        await self.world.misbehave()
        return servers

    async def ask(self, server: Server, *, patience: float = LONG, again: bool = False, redial: bool = False) -> None:
        """Ask for the plan's errands, all at once, and wait for the answers."""
        async with anyio.create_task_group() as tasks:
            for errand in self.plan.errands:
                tasks.start_soon(self._make_call, server, errand, patience, again, redial)

    async def _make_call(self, server: Server, errand: str, patience: float, again: bool, redial: bool) -> None:
        task = f"  {errand.upper()} " if again and self.plan.retyped else errand
        arguments: dict[str, Any] = {
            "task_category": "general",
            "task_description": task,
            "respondent_phone": self.plan.number,
        }
        if self.plan.wait_seconds is not None:
            arguments["wait_seconds"] = self.plan.wait_seconds
        if redial:
            arguments["redial"] = True
        await self._use(server, "make_call", arguments, patience=patience, errand=errand, redial=redial)

    async def follow(self, server: Server) -> None:
        """Look after each call that the agent knows to be under way, until it has an outcome or there can't be one."""
        for tracking_id in dict.fromkeys(ask.tracking_id for ask in self.asks if ask.is_open):
            if tracking_id is not None:
                await self._look_at(server, tracking_id)

    async def look(self, server: Server) -> None:
        """Look at what the server says is under way, and follow that."""
        seen = await self._use(server, "list_calls", {"limit": 200})
        calls = seen.answer.data.get("calls", []) if seen.answer is not None else []
        for call in calls:
            if call["status"] in OPEN and self.world.is_new(call["tracking_id"]):
                await self._look_at(server, call["tracking_id"])

    async def _look_at(self, server: Server, tracking_id: str) -> None:
        with anyio.move_on_after(LONG):
            while True:
                ask = await self._use(server, "get_call", {"call_id": tracking_id, "wait_seconds": 15})
                if ask.answer is None or ask.answer.data.get("status") != "in_progress":
                    return

    async def _use(
        self,
        server: Server,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        patience: float = LONG,
        errand: str | None = None,
        redial: bool = False,
    ) -> Ask:
        ask = Ask(errand, redial, anyio.current_time())
        self.asks.append(ask)
        self.world.note(f"{server.name}: {tool} {dict(arguments)}")
        try:
            ask.answer = Answer(await server.client.call_tool(tool, dict(arguments), read_timeout_seconds=patience))
        except MCPError as error:
            ask.words = f"no answer: {error}"
        else:
            ask.words = ask.answer.text.replace("\n", " / ")
        ask.ended_at = anyio.current_time()
        self.world.note(f"{server.name}: {tool} -> {ask.words}")
        return ask
