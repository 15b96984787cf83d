"""The agent of one run: what it asks its servers with the SDK's client, and what they answer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError

from tests.agent import Answer
from tests.faults.plans import Plan, Step
from tests.faults.system import Server, System

LONG = 60.0
"""Seconds after which a tool counts as hung; each should answer within a few."""

WITHOUT_OUTCOME = ("in_progress", "unknown")
"""The values of `status` in an answer that has no outcome."""


@dataclass
class ToolUse:
    """One use of a tool.

    Attributes:
        task: The task description of a `make_call`; None for another tool.
        redial: The argument `redial`.
        asked_at: When it was sent, on the event loop's clock.
        ended_at: When the answer or the error came, on the same clock.
        answer: The answer; None when there was none.
        text: The answer, or the error, for the log.
    """

    task: str | None
    redial: bool
    asked_at: float
    ended_at: float = math.inf
    answer: Answer | None = None
    text: str = "not answered"

    @property
    def is_open(self) -> bool:
        """Whether the answer says that there is no outcome yet."""
        return self.answer is not None and self.answer.data.get("status") in WITHOUT_OUTCOME

    @property
    def tracking_id(self) -> str | None:
        """The tracking id in the answer."""
        return self.answer.data.get("tracking_id") if self.answer is not None else None

    @property
    def outcome(self) -> dict[str, Any] | None:
        """The answer's data, if it has an outcome."""
        answered = self.answer is not None and not self.answer.is_error and "status" in self.answer.data
        return self.answer.data if self.answer is not None and answered and not self.is_open else None


class Agent:
    """One agent, with a client for each server.

    Attributes:
        plan: What it does.
        system: What it does it with.
        uses: Every use of a tool so far.
        ended_at_steps: How far the newest call was, each time that a server ended.
    """

    def __init__(self, plan: Plan, system: System) -> None:
        self.plan = plan
        self.system = system
        self.uses: list[ToolUse] = []
        self.ended_at_steps: list[Step] = []

    async def start(self, number: int = 1, *, warm: bool = False) -> list[Server]:
        """Start servers, then arm the service's faults.

        Args:
            number: How many servers.
            warm: Use each once before, so that all of them answer the next request equally fast.
        """
        servers = [await self.system.open() for _ in range(number)]
        if warm:
            for server in servers:
                await self._use(server, "get_call", {"call_id": "no-such-call"})
        await self.system.arm_faults()
        return servers

    async def ask(
        self, server: Server, *, give_up_after: float = LONG, again: bool = False, redial: bool = False
    ) -> None:
        """Ask for all calls of the plan at once, and wait for the answers.

        Args:
            server: The server to ask.
            give_up_after: Seconds until the client gives up.
            again: They were asked for before; the plan may want them typed differently now.
            redial: The argument `redial`.
        """
        async with anyio.create_task_group() as tasks:
            for task in self.plan.tasks:
                tasks.start_soon(self._make_call, server, task, give_up_after, again, redial)

    async def _make_call(self, server: Server, task: str, give_up_after: float, again: bool, redial: bool) -> None:
        arguments: dict[str, Any] = {
            "task_category": "general",
            "task_description": f"  {task.upper()} " if again and self.plan.is_retyped else task,
            "respondent_phone": self.plan.number,
        }
        if self.plan.wait_seconds is not None:
            arguments["wait_seconds"] = self.plan.wait_seconds
        if redial:
            arguments["redial"] = True
        await self._use(server, "make_call", arguments, give_up_after=give_up_after, task=task, redial=redial)

    async def follow(self, server: Server) -> None:
        """Wait for the outcome of every call that the agent was told to be in progress."""
        for tracking_id in dict.fromkeys(use.tracking_id for use in self.uses if use.is_open):
            if tracking_id is not None:
                await self._wait_for(server, tracking_id)

    async def look(self, server: Server) -> None:
        """Wait for the outcome of every call that the server lists as in progress or unknown."""
        listed = await self._use(server, "list_calls", {"limit": 200})
        calls = listed.answer.data.get("calls", []) if listed.answer is not None else []
        for call in calls:
            if call["status"] in WITHOUT_OUTCOME and self.system.is_new(call["tracking_id"]):
                await self._wait_for(server, call["tracking_id"])

    async def _wait_for(self, server: Server, tracking_id: str) -> None:
        with anyio.move_on_after(LONG):
            while True:
                use = await self._use(server, "get_call", {"call_id": tracking_id, "wait_seconds": 15})
                if use.answer is None or use.answer.data.get("status") != "in_progress":
                    return

    async def _use(
        self,
        server: Server,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        give_up_after: float = LONG,
        task: str | None = None,
        redial: bool = False,
    ) -> ToolUse:
        use = ToolUse(task, redial, anyio.current_time())
        self.uses.append(use)
        self.system.note(f"{server.name}: {tool} {dict(arguments)}")
        try:
            use.answer = Answer(
                await server.client.call_tool(tool, dict(arguments), read_timeout_seconds=give_up_after)
            )
        except MCPError as error:
            use.text = f"no answer: {error}"
        else:
            use.text = use.answer.text.replace("\n", " / ")
        use.ended_at = anyio.current_time()
        self.system.note(f"{server.name}: {tool} -> {use.text}")
        return use
