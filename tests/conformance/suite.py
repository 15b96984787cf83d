"""Runs the official suite, and reads the results of its scenarios."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio

from tests.conformance.npm import Tools

SECONDS = 60
"""The time-out of one run, which takes some seconds."""

Server = Literal["kallyai-mcp", "tasks"]
"""`kallyai-mcp serve`; and the same with the tool names of the scenarios of tasks."""

Status = Literal["FAILURE", "WARNING", "SUCCESS", "SKIPPED", "INFO"]
STATUSES: tuple[Status, ...] = ("FAILURE", "WARNING", "SUCCESS", "SKIPPED", "INFO")
"""The statuses, the worst first: the worst one counts for a check that is reported several times."""

EXTENSION = "extension"
"""Used as the version of the specification for scenarios of extensions."""

SCHEMA_CHECK = "wire-schema-valid"
"""The check that the suite adds to every scenario, even to one that does not apply."""

UNFINISHED = "scenario-finished"
"""A check of our own: that the scenario wrote its results."""


@dataclass(frozen=True)
class Check:
    """The status of a check, and the suite's message."""

    status: Status
    message: str = ""


@dataclass(frozen=True)
class Outcome:
    """The results of one scenario: its checks by id. `spec` is the version of the specification, or `EXTENSION`."""

    server: Server
    release: str
    spec: str
    scenario: str
    checks: dict[str, Check]

    @property
    def applies(self) -> bool:
        """Whether it checked anything."""
        return any(
            check.status in ("FAILURE", "WARNING", "SUCCESS")
            for name, check in self.checks.items()
            if name != SCHEMA_CHECK or check.status == "FAILURE"
        )


@dataclass(frozen=True)
class Suite:
    """A release of the suite, one of `npm.RELEASES`."""

    tools: Tools
    release: str

    async def version(self) -> str:
        """Its version."""
        return (await self._output("--version")).strip()

    async def scenarios(self, spec: str) -> list[str]:
        """The names of the server scenarios for a version of the specification."""
        listed = re.findall(r"^  - (\S+) \[(.*)\]$", await self._output("list", "--server"), re.MULTILINE)
        return [name for name, specs in listed if spec in specs.split(",")]

    async def run(self, server: Server, url: str, spec: str, folder: Path) -> list[Outcome]:
        """Run every scenario for a version of the specification, one after another."""
        arguments = ("--suite", "all", "--spec-version", spec)
        return await self._run(server, url, spec, await self.scenarios(spec), folder, arguments)

    async def run_one(self, server: Server, url: str, scenario: str, folder: Path) -> list[Outcome]:
        """Run one scenario of an extension."""
        return await self._run(server, url, EXTENSION, [scenario], folder, ("--scenario", scenario))

    async def _run(
        self, server: Server, url: str, spec: str, scenarios: Iterable[str], folder: Path, arguments: tuple[str, ...]
    ) -> list[Outcome]:
        output = await self._output("server", "--url", f"{url}/mcp", "-o", str(folder), *arguments)
        return [
            Outcome(server, self.release, spec, scenario, _checks(folder, scenario, output)) for scenario in scenarios
        ]

    async def _output(self, *arguments: str) -> str:
        """Run it; returns what it prints. Its exit code is ignored, because the results have all of it."""
        with anyio.fail_after(SECONDS):
            done = await anyio.run_process([*self.tools.suite(self.release), *arguments], check=False)
        return done.stdout.decode() + done.stderr.decode()


def _checks(folder: Path, scenario: str, output: str) -> dict[str, Check]:
    found: dict[str, Check] = {}
    # The folder's name ends with the time, which begins with a year.
    for path in folder.glob(f"server-{scenario}-20[0-9][0-9]-*/checks.json"):
        for each in json.loads(path.read_text(encoding="utf-8")):
            check = Check(each["status"], each.get("errorMessage") or "")
            worst = found.setdefault(each["id"], check)
            if STATUSES.index(check.status) < STATUSES.index(worst.status):
                found[each["id"]] = check
    if not found:
        found[UNFINISHED] = Check("FAILURE", f"it wrote no results: {output.strip()[-300:]}")
    return found
