"""Builds of the program that are broken where only a real server over stdio shows it, and the run that detects each.

uv run python -m tests.faults.stdio_broken NAME

This starts the broken build of that name, as `python -m kallyai_mcp` starts the real one.
"""

import runpy
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import anyio

from kallyai_mcp.sandbox.faults import FaultPlan
from tests.faults.plans import Action, Plan
from tests.faults.simulation.broken import Broken, Patch, break_program


@dataclass(frozen=True)
class StdioBuild:
    """A broken build; see `Broken`."""

    name: str
    plan: Plan
    patches: tuple[Patch, ...]


_UNREAD = replace(
    Plan.of(0),
    number="+12025550104",
    tasks=("Ask for the opening hours",),
    faults=FaultPlan(),
    action=Action.STOPS_READING,
    wait_seconds=30.0,
    end_after=10.0,
    is_retyped=False,
    clock_ahead=0,
    clock_jumps=0,
)

BUILDS = (
    StdioBuild(
        "an outcome that waits for a full pipe counts as told",
        replace(_UNREAD, unread_end="is killed", unread_lists=10),
        (
            Patch(
                "kallyai_mcp.server.answers_read", "delivery.awaits_reading = True", "delivery.awaits_reading = False"
            ),
        ),
    ),
    StdioBuild(
        "an outcome that was written counts as read",
        replace(_UNREAD, unread_end="gets SIGTERM"),
        (Patch("kallyai_mcp.transports.async_stdio", "max(self._read, self.sent - waiting)", "self.sent"),),
    ),
)


def prove() -> int:
    """Print a line for each broken build; returns 1 if one was not detected, or if the real one broke a rule."""
    failed = False
    for build in BUILDS:
        rules = anyio.run(_rules, build.plan, [sys.executable, "-m", __name__, build.name])
        real = anyio.run(_rules, build.plan, None)
        failed = failed or not rules or bool(real)
        print(f"{build.name:70} {', '.join(rules) or 'NOT SEEN'}", flush=True)
        if real:
            print(f"The real build: {build.plan.action}: {', '.join(real)}", flush=True)
    print(f"{len(BUILDS)} broken servers over stdio, {'FAILED' if failed else 'each of them seen'}")
    return int(failed)


async def _rules(plan: Plan, command: Sequence[str] | None) -> list[str]:
    """The rules that a run with servers of this command broke."""
    from tests.faults.runs import run
    from tests.faults.stdio_system import StdioSystem

    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        result = await run(StdioSystem(plan, Path(folder), anyio.CapacityLimiter(1), command))
    return sorted({violation.rule.value for violation in result.violations})


def main() -> None:
    """Be the broken build that the command names."""
    [build] = [each for each in BUILDS if each.name == sys.argv[1]]
    break_program(cast("Broken", build))
    sys.argv = ["kallyai-mcp"]
    runpy.run_module("kallyai_mcp", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
