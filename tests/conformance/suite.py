"""Runs the official suite, and compares the results of its scenarios with the expected failures."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import anyio

from tests.conformance.npm import Tools

SECONDS = 60
"""The time-out of one run, which takes some seconds."""

Server = Literal["kallyai-mcp", "tasks"]
"""`kallyai-mcp serve`; and the same with the tool names of the scenarios of tasks."""

EXTENSION = "extension"
"""Used as the version of the specification for scenarios of extensions."""

Result = Mapping[str, Any]
"""One check of a scenario: its `id`, its `status`, and the `errorMessage` of a failure."""


class Place(NamedTuple):
    """A scenario with a server, at a version of the specification or as `EXTENSION`."""

    server: Server
    scenario: str
    spec: str


def verdict(results: Sequence[Result], expected: Collection[str]) -> tuple[str, bool]:
    """A scenario's result as text, and whether exactly the `expected` checks failed."""
    failed = {
        each["id"]: each.get("errorMessage") for each in results if each["status"] == "FAILURE"
    }
    wrong = [f"FAILED {name}: {failed[name]}" for name in sorted(failed.keys() - set(expected))]
    wrong += [
        f"OUTDATED: {name} was expected to fail" for name in sorted(set(expected) - failed.keys())
    ]
    passed = sum(each["status"] == "SUCCESS" for each in results)
    return "; ".join(wrong) or f"{passed} passed, {len(failed)} failed as expected", not wrong


@dataclass(frozen=True)
class Suite:
    """The suite, and the results of the scenarios that it has run."""

    tools: Tools
    expected: Mapping[Place, Collection[str]]
    """The checks that are expected to fail."""
    found: dict[Place, list[Result]] = field(default_factory=dict)
    at_first: dict[Place, str] = field(default_factory=dict)
    """What was not as expected in the first run of a scenario that was run again."""

    async def run_all(self, url: str, spec: str, folder: Path, wanted: Collection[str]) -> None:
        """Run every scenario for a version of the specification, one after another; keep those that
        are `wanted`.
        """
        listed = re.findall(
            r"^  - (\S+) \[(.*)\]$", await self.output("list", "--server"), re.MULTILINE
        )
        known = [name for name, specs in listed if spec in specs.split(",") and name in wanted]
        await self._run(
            "kallyai-mcp", url, spec, known, folder, "--suite", "all", "--spec-version", spec
        )

    async def run_one(self, server: Server, url: str, scenario: str, folder: Path) -> None:
        """Run one scenario of an extension."""
        await self._run(server, url, EXTENSION, [scenario], folder, "--scenario", scenario)

    async def run_again(self, urls: Mapping[Server, str], folder: Path) -> None:
        """Run once more, one at a time, each scenario that was not as expected.

        The suite waits one second for a stream (server-stateless), which a busy machine may need.
        """
        for place in sorted(self.found):
            text, is_right = self.verdict_of(place)
            if is_right:
                continue
            self.at_first[place] = text
            version = [] if place.spec == EXTENSION else ["--spec-version", place.spec]
            await self._run(
                place.server,
                urls[place.server],
                place.spec,
                [place.scenario],
                folder / place.spec / place.scenario,
                *("--scenario", place.scenario, *version),
            )

    def verdict_of(self, place: Place) -> tuple[str, bool]:
        """The `verdict` of a scenario that may have been run."""
        return verdict(self.found.get(place, []), self.expected.get(place, {}))

    async def _run(
        self,
        server: Server,
        url: str,
        spec: str,
        scenarios: Iterable[str],
        folder: Path,
        *arguments: str,
    ) -> None:
        output = await self.output("server", "--url", f"{url}/mcp", "-o", str(folder), *arguments)
        nothing = {
            "id": "finished",
            "status": "FAILURE",
            "errorMessage": f"it wrote no results: {output[-300:]}",
        }
        for scenario in scenarios:
            self.found[Place(server, scenario, spec)] = _results(folder, scenario) or [nothing]

    async def output(self, *arguments: str) -> str:
        """Run it; returns what it prints.

        Its exit code is ignored, because the results have all of it.
        """
        with anyio.fail_after(SECONDS):
            done = await anyio.run_process([*self.tools.suite(), *arguments], check=False)
        return done.stdout.decode() + done.stderr.decode()


def _results(folder: Path, scenario: str) -> list[Result]:
    # The folder's name ends with the time, which begins with a year.
    paths = folder.glob(f"server-{scenario}-20[0-9][0-9]-*/checks.json")
    return [each for path in paths for each in json.loads(path.read_text(encoding="utf-8"))]
