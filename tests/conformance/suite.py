"""One run of the official suite, and what each of its scenarios found."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio

from tests.conformance.npm import Tools

SECONDS = 60
"""How long one run may take; it takes some seconds."""

Server = Literal["telephone", "tasks", "fixture"]
"""`kallyai-mcp serve`; the same with the names that scenarios of tasks use; fixtures behind the same HTTP layer."""

Status = Literal["FAILURE", "WARNING", "SUCCESS", "SKIPPED", "INFO"]
STATUSES: tuple[Status, ...] = ("FAILURE", "WARNING", "SUCCESS", "SKIPPED", "INFO")
"""The worst first: a check that was made more than once is as bad as at its worst."""

EXTENSION = "extension"
"""In the place of a version of the specification, for scenarios that belong to none."""

ON_THE_WIRE = "wire-schema-valid"
"""The check that the suite adds to every scenario: it says nothing about whether the scenario itself applies."""

UNFINISHED = "scenario-finished"
"""A check of ours: that the scenario has left its results behind."""


@dataclass(frozen=True)
class Check:
    """What one check found: how bad, and the suite's words for it."""

    status: Status
    message: str = ""


@dataclass(frozen=True)
class Outcome:
    """What one scenario found.

    Attributes:
        server: Which of our servers it was run against.
        release: Which release of the suite, by the names of `npm.RELEASES`.
        spec: The version of the specification, or `EXTENSION`.
        scenario: Its name.
        checks: By their ids.
    """

    server: Server
    release: str
    spec: str
    scenario: str
    checks: dict[str, Check]

    @property
    def applies(self) -> bool:
        """Whether it has checked anything."""
        return any(
            check.status in ("FAILURE", "WARNING", "SUCCESS")
            for name, check in self.checks.items()
            if name != ON_THE_WIRE or check.status == "FAILURE"
        )


@dataclass(frozen=True)
class Suite:
    """A release of the suite.

    Attributes:
        tools: Where it is.
        release: Which.
    """

    tools: Tools
    release: str

    async def version(self) -> str:
        """As npm has it."""
        return (await self._said("--version")).strip()

    async def scenarios(self, spec: str) -> list[str]:
        """The server scenarios of a version of the specification, or of no version."""
        listed = re.findall(r"^  - (\S+) \[(.*)\]$", await self._said("list", "--server"), re.MULTILINE)
        return [name for name, specs in listed if spec in specs.split(",")]

    async def run(self, server: Server, url: str, spec: str, folder: Path) -> list[Outcome]:
        """Every scenario of a version of the specification, one after another."""
        arguments = ("--suite", "all", "--spec-version", spec)
        return await self._run(server, url, spec, await self.scenarios(spec), folder, arguments)

    async def run_one(self, server: Server, url: str, scenario: str, folder: Path) -> list[Outcome]:
        """One scenario of an extension."""
        return await self._run(server, url, EXTENSION, [scenario], folder, ("--scenario", scenario))

    async def _run(
        self, server: Server, url: str, spec: str, scenarios: Iterable[str], folder: Path, arguments: tuple[str, ...]
    ) -> list[Outcome]:
        words = await self._said("server", "--url", f"{url}/mcp", "-o", str(folder), *arguments)
        return [
            Outcome(server, self.release, spec, scenario, _checks(folder, scenario, words)) for scenario in scenarios
        ]

    async def _said(self, *arguments: str) -> str:
        """What it prints; its exit code says no more than the results do."""
        with anyio.fail_after(SECONDS):
            done = await anyio.run_process([*self.tools.suite(self.release), *arguments], check=False)
        return done.stdout.decode() + done.stderr.decode()


def _checks(folder: Path, scenario: str, words: str) -> dict[str, Check]:
    found: dict[str, Check] = {}
    # The folder's name ends with the time, which begins with a year.
    for path in folder.glob(f"server-{scenario}-20[0-9][0-9]-*/checks.json"):
        for each in json.loads(path.read_text(encoding="utf-8")):
            check = Check(each["status"], each.get("errorMessage") or "")
            worst = found.setdefault(each["id"], check)
            if STATUSES.index(check.status) < STATUSES.index(worst.status):
                found[each["id"]] = check
    if not found:
        found[UNFINISHED] = Check("FAILURE", f"it has left no results: {words.strip()[-300:]}")
    return found
