"""The world of one run, of whatever kind: a service that misbehaves, servers that use it, and their ledger."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import anyio
from mcp import Client

from tests.faults.plan import SETTLE_SECONDS, Plan, Step
from tests.faults.service import Service
from tests.processes import environment

LEAVING_SECONDS = 10.0
"""After how long a server that was told to leave counts as hung; on an idle machine it takes less than 2 s."""

_GLANCE, _LONG_GLANCE = 0.002, 0.02


class ServerFailed(Exception):  # noqa: N818 - it says what happened
    """A server did not start, or did not end."""


Row = dict[str, Any]
"""A row of the ledger, by its columns' names."""


class Server(ABC):
    """What an agent's client is connected to.

    Attributes:
        client: The SDK's client.
        name: For the log.
    """

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    @abstractmethod
    async def kill(self) -> None:
        """Kill -9 (on Windows: terminate), and return once it is dead."""

    @abstractmethod
    async def terminate(self) -> None:
        """SIGTERM (on Windows the same as `kill`), and return once it has gone.

        Raises:
            ServerFailed: It hasn't.
        """

    @abstractmethod
    async def leave(self) -> None:
        """Have it end in the ordinary way, and return once it has gone."""


class World(ABC):
    """Use it as an async context manager.

    Args:
        plan: Which faults, and how servers are set.
        service: What misbehaves.

    Attributes:
        token: The access token, of which nobody may say a word.
        hung: The servers that did not end when they were told to leave.
        log: What happened, line by line.
    """

    def __init__(self, plan: Plan, service: Service) -> None:
        self.plan = plan
        self.service = service
        self.token = service.token
        self.hung: list[str] = []
        self.log: list[str] = []
        self._began = anyio.current_time()

    def note(self, line: str) -> None:
        """Write into the log."""
        self.log.append(f"{anyio.current_time() - self._began:6.2f} {line}")

    async def misbehave(self) -> None:
        """Arm the plan's faults."""
        await self.service.arm(self.plan.faults)

    async def calm(self) -> dict[str, int]:
        """Disarm the faults, though not the quirks; returns how often each kind has fired."""
        fired = await self.service.fired()
        await self.service.arm(self.plan.faults.model_copy(update={"faults": []}))
        return fired

    async def placed(self) -> list[dict[str, Any]]:
        """Every call that was really placed in this run."""
        return await self.service.placed()

    def is_new(self, id_: str) -> bool:  # noqa: ARG002 - other worlds have more than one run
        """Whether the call with this `tracking_id` or `call_id` was asked for in this run."""
        return True

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(self, *exc: object) -> None: ...

    @abstractmethod
    async def open(self) -> Server:
        """Connect to one more server.

        Raises:
            ServerFailed: It doesn't answer.
        """

    @abstractmethod
    async def rows(self) -> list[Row]:
        """The rows that the ledger has of this run, in the order in which they were made."""

    @abstractmethod
    async def until(self, step: Step, seconds: float) -> None:
        """Return at once when some call has come to `step`, or past it; at the latest after `seconds`."""

    @abstractmethod
    def stderr(self) -> dict[str, str]:
        """What each server has said on stderr."""


def step_of(row: Row) -> Step:
    """How far this row has come."""
    if row["state"] == "prepared":
        return Step.PREPARED
    if row["state"] == "sent":
        return Step.LOST if row["lost_at"] is not None else Step.SENT
    return Step.HANDED_OUT if row["handed_out"] else Step.ENDED


def any_has_come_to(step: Step, rows: Iterable[Row]) -> bool:
    """Whether one of `rows` is at `step` or past it."""
    order = list(Step)
    return any(order.index(step_of(row)) >= order.index(step) for row in rows)


def glance(step: Step) -> float:
    """Seconds between two looks into the ledger for a step that comes at once, or late."""
    return _GLANCE if step in (Step.PREPARED, Step.SENT) else _LONG_GLANCE


def server_environment(home: Path, service: Service, **settings: str) -> dict[str, str]:
    """The environment of a server process that uses `service`."""
    given = {"API_URL": service.url, "ACCESS_TOKEN": service.token, "SETTLE_SECONDS": str(SETTLE_SECONDS)}
    env = environment(home, **(given | settings))
    # Measuring coverage slows each start, and what is killed can't report it.
    return {key: value for key, value in env.items() if not key.startswith("COV")}
