"""Runs the official suite, reads the results of its scenarios, and compares them with the expected failures."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio

from tests.conformance.npm import Tools

SECONDS = 60
"""The time-out of one run, which takes some seconds."""

Server = Literal["kallyai-mcp", "tasks"]
"""`kallyai-mcp serve`; and the same with the tool names of the scenarios of tasks."""

STATUSES = ("FAILURE", "WARNING", "SUCCESS", "SKIPPED", "INFO")
"""The statuses, the worst first: the worst one counts for a check that is reported several times."""

EXTENSION = "extension"
"""Used as the version of the specification for scenarios of extensions."""

SCHEMA_CHECK = "wire-schema-valid"
"""The check that the suite adds to every scenario, even to one that does not apply."""

Checks = dict[str, tuple[str, str]]
"""The checks of a scenario: the status of each and the suite's message, by id."""


@dataclass(frozen=True)
class Place:
    """A scenario with a server, at a version of the specification or as `EXTENSION`."""

    server: Server
    spec: str
    scenario: str


def verdict(checks: Mapping[str, tuple[str, str]], expected: Iterable[str]) -> tuple[str, bool]:
    """A scenario's result as text, and whether exactly the `expected` checks failed."""
    by_status = {status: {name for name, (found, _) in checks.items() if found == status} for status in STATUSES}
    failed, known = by_status["FAILURE"], set(expected)
    if failed != known:
        new = [f"FAILED {name}: {checks[name][1]}" for name in sorted(failed - known)]
        passed = [f"OUTDATED: {name} was expected to fail" for name in sorted(known - failed)]
        return "; ".join(new + passed), False
    if not failed | by_status["WARNING"] | by_status["SUCCESS"] - {SCHEMA_CHECK}:
        return "does not apply", True
    text = f"fails as expected: {', '.join(sorted(failed))}" if failed else "passed"
    warned = f"; warned of {', '.join(sorted(by_status['WARNING']))}" if by_status["WARNING"] else ""
    return text + warned, True


@dataclass(frozen=True)
class Suite:
    """A release of the suite, one of `npm.RELEASES`, and the results of all releases, to which it adds its own."""

    tools: Tools
    release: str
    found: dict[Place, Checks]

    async def version(self) -> str:
        """Its version."""
        return (await self._output("--version")).strip()

    async def run_all(self, url: str, spec: str, folder: Path, wanted: Iterable[str]) -> None:
        """Run every scenario for a version of the specification, one after another; keep those that are `wanted`."""
        listed = re.findall(r"^  - (\S+) \[(.*)\]$", await self._output("list", "--server"), re.MULTILINE)
        known = [name for name, specs in listed if spec in specs.split(",") and name in wanted]
        await self._run("kallyai-mcp", url, spec, known, folder, "--suite", "all", "--spec-version", spec)

    async def run_one(self, server: Server, url: str, scenario: str, folder: Path) -> None:
        """Run one scenario of an extension."""
        await self._run(server, url, EXTENSION, [scenario], folder, "--scenario", scenario)

    async def _run(
        self, server: Server, url: str, spec: str, scenarios: Iterable[str], folder: Path, *arguments: str
    ) -> None:
        output = await self._output("server", "--url", f"{url}/mcp", "-o", str(folder), *arguments)
        for scenario in scenarios:
            results = _results(folder, scenario)
            if not results:
                message = f"it wrote no results: {output.strip()[-300:]}"
                results = [{"id": "scenario-finished", "status": "FAILURE", "errorMessage": message}]
            checks = self.found.setdefault(Place(server, spec, scenario), {})
            for each in results:
                found, status = checks.get(each["id"]), each["status"]
                if found is None or STATUSES.index(status) < STATUSES.index(found[0]):
                    checks[each["id"]] = (status, each.get("errorMessage") or "")

    async def _output(self, *arguments: str) -> str:
        """Run it; returns what it prints. Its exit code is ignored, because the results have all of it."""
        with anyio.fail_after(SECONDS):
            done = await anyio.run_process([*self.tools.suite(self.release), *arguments], check=False)
        return done.stdout.decode() + done.stderr.decode()


def _results(folder: Path, scenario: str) -> list[dict[str, str]]:
    # The folder's name ends with the time, which begins with a year.
    paths = folder.glob(f"server-{scenario}-20[0-9][0-9]-*/checks.json")
    return [each for path in paths for each in json.loads(path.read_text(encoding="utf-8"))]
