"""Builds of the program that are broken where only a real server over stdio shows it, and the run that detects each.

uv run python -m tests.faults.stdio_broken NAME

This starts the broken build of that name, as `python -m kallyai_mcp` starts the real one.
"""

import runpy
import sys

import anyio

from tests.faults.simulation.broken import Broken, Patch, break_program
from tests.faults.simulation.plan import Plan as SimulatedPlan

BUILDS = (
    (
        "an outcome that waits for a full pipe counts as told",
        Patch(
            "transports.stdio",
            "self._delivery.awaits_reading = True",
            "self._delivery.awaits_reading = False",
        ),
        "is not read and killed",
        10,
    ),
    (
        "an outcome that was written counts as read",
        Patch("transports.stdio", "max(self._read, self.sent - waiting)", "self.sent"),
        "is not read and gets SIGTERM",
        0,
    ),
)
"""For each: its name, the change, how its server ends, and how many lists of tools the client does not read."""


def prove() -> int:
    """Print a line for each broken build; returns 1 if one was not detected, or if the real one broke a rule."""
    from tests.faults.real import Plan, run_plan  # late: a broken build must not import the program before

    failed = False
    for name, _, ends, lists in BUILDS:
        plan = Plan(0, "stdio", ends, None, 1.0, lists)
        found = anyio.run(run_plan, plan, [sys.executable, "-m", __name__, name])
        real = anyio.run(run_plan, plan)
        failed = failed or not found or bool(real)
        print(f"{name:70} {', '.join(sorted({each.rule for each in found})) or 'NOT SEEN'}", flush=True)
        print("".join(f"The real build: {each.rule}: {each.text}\n" for each in real), end="")
    print(f"{len(BUILDS)} broken servers over stdio, {'FAILED' if failed else 'each of them seen'}")
    return int(failed)


def main() -> None:
    """Be the broken build that the command names."""
    [patch] = [patch for name, patch, _, _ in BUILDS if name == sys.argv[1]]
    break_program(Broken(sys.argv[1], SimulatedPlan("", (), ()), (patch,)))
    sys.argv = ["kallyai-mcp"]
    runpy.run_module("kallyai_mcp", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
