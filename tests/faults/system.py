"""The system under test of one run: a service with faults, servers that use it, and their ledger."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import anyio
from mcp import Client

from tests.faults.plans import SETTLE_SECONDS, Plan, Step
from tests.faults.service import Service
from tests.processes import environment

SHUTDOWN_SECONDS = 30.0
"""Seconds after which a server that was told to end counts as hung.

On an idle machine it takes less than 2, and several times as long with libfaketime.
"""

_SHORT_POLL, _LONG_POLL = 0.002, 0.02


class ServerFailedError(Exception):
    """A server did not start, or did not end."""


Row = dict[str, Any]
"""A row of the ledger, by column name."""


class Server(ABC):
    """A server and the client that is connected to it.

    Attributes:
        client: The SDK's client.
        name: For the log.
    """

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    @abstractmethod
    async def kill(self) -> None:
        """End it with SIGKILL (on Windows: terminate it), and wait until it has ended."""

    @abstractmethod
    async def terminate(self) -> None:
        """End it with SIGTERM (on Windows the same as `kill`), and wait until it has ended.

        Raises:
            ServerFailedError: It does not end.
        """

    @abstractmethod
    async def leave(self) -> None:
        """Close its stdin, and wait until it has ended."""


class System(ABC):
    """The system of one run. Use it as an async context manager.

    Args:
        plan: The faults, and the servers' settings.
        service: The service that has the faults.

    Attributes:
        token: The access token, which must not appear in any output.
        hung: The names of the servers that did not end when they were told to.
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
        """Add a line to the log."""
        self.log.append(f"{anyio.current_time() - self._began:6.2f} {line}")

    async def arm_faults(self) -> None:
        """Arm the plan's faults."""
        await self.service.arm(self.plan.faults)

    async def disarm_faults(self) -> dict[str, int]:
        """Disarm the faults, but keep the quirks; returns how often each kind of fault happened."""
        fired = await self.service.fired()
        await self.service.arm(self.plan.faults.model_copy(update={"faults": []}))
        return fired

    async def placed(self) -> list[dict[str, Any]]:
        """Every call that was placed in this run."""
        return await self.service.placed()

    def is_new(self, id_: str) -> bool:  # noqa: ARG002 - a system that serves several runs needs it
        """Whether the call with this tracking id or call id belongs to this run."""
        return True

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(self, *exc: object) -> None: ...

    @abstractmethod
    async def open(self) -> Server:
        """Connect a client to one more server.

        Raises:
            ServerFailedError: It does not answer.
        """

    @abstractmethod
    async def rows(self) -> list[Row]:
        """This run's rows of the ledger, in the order in which they were inserted."""

    @abstractmethod
    async def wait_for(self, step: Step, seconds: float) -> None:
        """Wait until some call is at `step` or past it, at most `seconds`."""

    @abstractmethod
    def stderr(self) -> dict[str, str]:
        """The stderr of each server, by name."""


def step_of(row: Row) -> Step:
    """How far the call of this row is."""
    if row["state"] == "reserved":
        return Step.RESERVED
    if row["state"] == "sent":
        return Step.RESPONSE_LOST if row["response_lost_at"] is not None else Step.SENT
    return Step.DELIVERED if row["delivered_at"] is not None else Step.ENDED


def any_is_at(step: Step, rows: Iterable[Row]) -> bool:
    """Whether a call of `rows` is at `step` or past it."""
    order = list(Step)
    return any(order.index(step_of(row)) >= order.index(step) for row in rows)


def poll_seconds(step: Step) -> float:
    """Seconds between two looks into the ledger while waiting for `step`; the first steps follow quickly."""
    return _SHORT_POLL if step in (Step.RESERVED, Step.SENT) else _LONG_POLL


def server_environment(home: Path, service: Service, **settings: str) -> dict[str, str]:
    """The environment variables of a server that uses `service`."""
    given = {"API_URL": service.url, "ACCESS_TOKEN": service.token, "SETTLE_SECONDS": str(SETTLE_SECONDS)}
    env = environment(home, **(given | settings))
    # Measuring coverage slows every start, and a killed process can't report it.
    return {key: value for key, value in env.items() if not key.startswith("COV")}
