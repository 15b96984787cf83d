"""Runs the official conformance suite and the MCP Inspector with our servers.

    uv run python -m tests.conformance

The suite's newest pre-release is run at each version of the specification that it knows, with
`kallyai-mcp serve --transport http --sandbox`: the scenarios that need no fixture. In those of
tasks, kallyai-mcp's calls replace the fixtures. Then the Inspector's CLI lists and calls every tool
over stdio and `/mcp`, in both protocol generations, and the scenarios for authorization servers are
run with the hosted sign-in.

It needs npm; what it installs stays in the user's cache. A scenario that is not as expected is
run once more, alone. Exits with 1 when a check fails unexpectedly again, or when a check that is
expected to fail passes.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import anyio

from tests.bench.servers import serving
from tests.conformance.authorization import authorize
from tests.conformance.calls_as_tasks import tasks_app
from tests.conformance.expected import EXPECTED, KALLYAI_SCENARIOS, SKILLS, SPECS, TASKS
from tests.conformance.inspector import SPEED, inspect
from tests.conformance.npm import Tools, installed
from tests.conformance.suite import Server, Suite
from tests.processes import environment, free_port, http_command
from tests.transports.http_server import running_app


def main() -> int:
    """Run everything and print the tables."""
    argparse.ArgumentParser(
        prog="python -m tests.conformance", description=(__doc__ or "").partition("\n")[0]
    ).parse_args()
    try:
        tools = installed()
    except RuntimeError as error:
        print(f"This can't run here: {error}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return anyio.run(_run, tools, Path(folder))


async def _run(tools: Tools, folder: Path) -> int:
    suite = Suite(tools, EXPECTED)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = http_command(port, SPEED)
    env = environment(folder / "kallyai-mcp", RATE_LIMIT="100000/minute")
    with serving(command, port, env):
        await _conformance(suite, url, folder)
        findings = await inspect(tools, url, folder)
    findings += await authorize(tools, folder / "sign-in")
    print(f"suite {(await suite.output('--version')).strip()}")
    wrong = _print_scenarios(suite)
    print("\nexpected failures")
    for place, checks in EXPECTED.items():
        for check, reason in checks.items():
            print(f"{place.scenario} {place.spec}, {check}: {reason}")
    print("\nInspector and sign-in")
    for finding in findings:
        print(f"{finding.what:38} {finding.transport:6} {finding.fault or 'passed'}")
    failed = sum(finding.fault is not None for finding in findings)
    print(
        f"{len(suite.found)} scenarios run, {len(suite.at_first)} of them twice, "
        f"{len(wrong)} not as expected; "
        f"{len(findings)} uses of the Inspector and sign-ins, {failed} failed"
    )
    for line in wrong:
        print(line)
    return 1 if wrong or failed else 0


def _print_scenarios(suite: Suite) -> list[str]:
    """Print the result of each scenario; returns the lines of those that were not as expected."""
    wrong = list[str]()
    for place in sorted({*suite.found, *EXPECTED}):
        text, is_right = suite.verdict_of(place)
        at_first = suite.at_first.get(place)
        again = f" (run again; at first: {at_first})" if at_first is not None else ""
        line = f"{place.scenario:45} {place.spec:10} {place.server:11} {text}{again}"
        print(line)
        if not is_right:
            wrong.append(line)
    return wrong


async def _conformance(suite: Suite, url: str, folder: Path) -> None:
    async with running_app(tasks_app(folder / "tasks")) as calls_as_tasks:
        async with anyio.create_task_group() as tasks:
            for spec in SPECS:
                tasks.start_soon(suite.run_all, url, spec, folder / spec, KALLYAI_SCENARIOS)
            for scenario in TASKS:
                await suite.run_one("tasks", calls_as_tasks, scenario, folder / scenario)
            for scenario in SKILLS:
                await suite.run_one("kallyai-mcp", url, scenario, folder / scenario)
        urls: dict[Server, str] = {"kallyai-mcp": url, "tasks": calls_as_tasks}
        await suite.run_again(urls, folder / "again")


if __name__ == "__main__":
    raise SystemExit(main())
