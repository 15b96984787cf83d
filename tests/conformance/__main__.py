"""Runs the official conformance suite and the MCP Inspector against our servers.

    uv run python -m tests.conformance

The suite's newest release and its newest pre-release, at each version of the specification that they know, are run
against `kallyai-mcp serve --transport http --sandbox`, and against a server of the same HTTP layer with the fixtures
that most scenarios need; those of tasks, against the telephone, whose calls stand in for their fixtures. Then the
Inspector's CLI lists and calls every tool over stdio and `/mcp`, in both eras.

Needs npm; what it installs is kept in the user's cache. Exits with 1 when a check fails that isn't expected to, or one
that is expected to fail no longer does.
"""

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import anyio
from mcp import MCPDeprecationWarning

from tests.bench.servers import free_ports, serving
from tests.conformance.expected import EXPECTED, SPECS, TASKS, TELEPHONE, TELEPHONE_ALONE
from tests.conformance.fixture.server import fixture_app
from tests.conformance.fixture.tasks import tasks_app
from tests.conformance.inspector import SPEED, Finding, inspected
from tests.conformance.judging import Verdict, judged, stale
from tests.conformance.npm import Tools, installed
from tests.conformance.suite import Outcome, Server, Suite
from tests.processes import COMMAND, environment
from tests.transports.http_server import running_app


def main() -> int:
    """Run everything and print the tables."""
    argparse.ArgumentParser(
        prog="python -m tests.conformance", description=(__doc__ or "").partition("\n")[0]
    ).parse_args()
    # The fixtures sample and log to the client, as scenarios of the older versions want it.
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    try:
        tools = installed()
    except RuntimeError as error:
        print(f"This can't be run here: {error}", file=sys.stderr)
        return 1
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return anyio.run(_run, tools, Path(folder), began)


async def _run(tools: Tools, folder: Path, began: float) -> int:
    suites = [Suite(tools, release) for release in SPECS]
    versions = {suite.release: await suite.version() for suite in suites}
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [*COMMAND, "serve", "--transport", "http", "--port", str(port), "--sandbox", "--speed", SPEED]
    env = environment(folder / "telephone", RATE_LIMIT="100000/minute")
    with serving(command, port, env):
        outcomes = await _conformance(suites, url, folder)
        findings = await inspected(tools, url, folder)
    verdicts = judged(outcomes, EXPECTED)
    old = stale(outcomes, EXPECTED)
    _print_table(verdicts, versions)
    _print_expected()
    _print_findings(findings)
    for sentence in old:
        print(f"STALE: {sentence}")
    wrong = sum(not verdict.is_right for verdict in verdicts)
    unfit = sum(finding.fault is not None for finding in findings)
    applied = [verdict for verdict in verdicts if verdict.outcome.applies]
    print(
        f"{len(applied)} scenarios run, {wrong} not as expected; {len(findings)} uses of the Inspector, {unfit} failed "
        f"({time.monotonic() - began:.0f} s)"
    )
    return 1 if wrong or unfit or old else 0


async def _conformance(suites: Sequence[Suite], agent_on: str, folder: Path) -> list[Outcome]:
    outcomes: list[Outcome] = []
    async with running_app(fixture_app()) as fixture, running_app(tasks_app(folder / "tasks")) as calls_as_tasks:

        async def take_in(suite: Suite, server: Server, url: str) -> None:
            for spec in SPECS[suite.release]:
                found = await suite.run(server, url, spec, folder / f"{suite.release}-{server}-{spec}")
                outcomes.extend(each for each in found if _belongs(each))

        async def take_in_tasks(suite: Suite) -> None:
            for scenario in TASKS:
                outcomes.extend(await suite.run_one("tasks", calls_as_tasks, scenario, folder / scenario))

        async with anyio.create_task_group() as tasks:
            for suite in suites:
                tasks.start_soon(take_in, suite, "telephone", agent_on)
                tasks.start_soon(take_in, suite, "fixture", fixture)
            tasks.start_soon(take_in_tasks, suites[-1])
    return outcomes


def _belongs(outcome: Outcome) -> bool:
    if outcome.server == "fixture":
        return outcome.scenario not in TELEPHONE_ALONE
    return outcome.server == "tasks" or outcome.scenario in TELEPHONE


def _print_table(verdicts: Iterable[Verdict], versions: dict[str, str]) -> None:
    """One line for what is the same at several versions, and in both releases."""
    specs: dict[tuple[Server, str, str], set[str]] = {}
    for verdict in verdicts:
        outcome = verdict.outcome
        words = verdict.words if verdict.is_right else f"{verdict.words} (suite {versions[outcome.release]})"
        specs.setdefault((outcome.server, outcome.scenario, words), set()).add(outcome.spec)
    print(f"suites {' and '.join(versions.values())}")
    for (server, scenario, words), at in sorted(specs.items()):
        print(f"{scenario:45} {', '.join(sorted(at)):34} {server:9} {words}")


def _print_expected() -> None:
    print("\nexpected failures")
    for entry in EXPECTED:
        print(f"{entry.scenario} ({entry.server}, {', '.join(entry.specs)}): {entry.reason}")


def _print_findings(findings: Iterable[Finding]) -> None:
    print("\nInspector")
    for finding in findings:
        print(f"{finding.what:24} {finding.era:7} {finding.transport:6} {finding.fault or 'as it should be'}")


if __name__ == "__main__":
    raise SystemExit(main())
