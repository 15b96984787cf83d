"""Proves that the oracle finds faults: each broken build must break a rule in its run, and the real one none.

uv run python -m tests.faults --prove
"""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio

from tests.faults.machine import fast_folder, processes
from tests.faults.simulation.broken import Broken, break_program
from tests.faults.simulation.builds import BROKEN

_JOBS = 2

_UNBROKEN = [
    *("anyio", "fastapi", "filelock", "httpx2", "jsonschema", "jwt", "mcp", "mcp.client.streamable_http"),
    *("mcp.server.mcpserver", "phonenumbers", "psycopg", "psycopg_pool", "pytest", "sqlite3"),
    *("kallyai_mcp.sandbox.app", "kallyai_mcp.api.models", __name__),
]
"""What every build imports, unbroken: most of the time that a run takes."""


def prove() -> Iterator[tuple[Broken, list[str]]]:
    """Run each broken build in a process of its own; yields the rules that it broke."""
    with processes(_UNBROKEN).Pool(_JOBS, maxtasksperchild=1) as pool:
        yield from zip(BROKEN, pool.imap(_run, [broken.name for broken in BROKEN], chunksize=1), strict=True)


def main() -> int:
    """Print a line for each broken build; returns 1 if one was not detected, or if the real one broke a rule."""
    _log_nothing()
    failed = False
    for broken, rules in prove():
        failed = failed or not rules
        print(f"{broken.name:70} {', '.join(rules) or 'NOT SEEN'}", flush=True)
    with processes(_UNBROKEN).Pool(_JOBS, _log_nothing) as pool:
        for reports in filter(None, pool.imap(real_reports, BROKEN)):
            failed = True
            print(f"The real build: {reports}", flush=True)
    print(
        f"{len(BROKEN)} broken builds, {'FAILED' if failed else 'each of them seen, and the real one breaks no rule'}"
    )
    return int(failed)


def real_reports(broken: Broken) -> str:
    """The report of the run of `broken` in this process; empty if no rule was broken."""
    return _judged(broken)[1]


def _judged(broken: Broken) -> tuple[list[str], str]:
    """The rules that were broken in the run of `broken` in this process, and the report."""
    # Imported late: the process that runs a broken build must not import the real one before.
    from tests.faults.simulation.judging import report
    from tests.faults.simulation.many import KINDS
    from tests.faults.simulation.run import Run, run_places

    plan = broken.plan
    with tempfile.TemporaryDirectory(prefix="faults-", dir=fast_folder()) as folder:
        evidence = anyio.run(Run(plan, run_places(Path(folder), plan)).evidence)
    violations = KINDS[plan.kind][1](evidence)
    rules = sorted({violation.rule.value for violation in violations})
    return rules, report(evidence, violations, f"the run of: {broken.name}") if violations else ""


def _run(name: str) -> list[str]:
    """The rules that a build breaks; this process must not have imported the program before."""
    [broken] = [each for each in BROKEN if each.name == name]
    break_program(broken)
    _log_nothing()
    return _judged(broken)[0]


def _log_nothing() -> None:
    """Write no log: a run collects the errors itself."""
    logging.getLogger("kallyai_mcp").addHandler(logging.NullHandler())
    logging.getLogger("kallyai_mcp").propagate = False
