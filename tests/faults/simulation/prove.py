"""Proves that the oracle finds faults: each broken build must break a rule in its run, and the real
one none.

uv run python -m tests.faults --prove
"""

import logging

from tests.faults.machine import fast_folder, processes
from tests.faults.simulation.broken import break_program
from tests.faults.simulation.builds import BROKEN
from tests.postgres_server import PostgresServer

_JOBS = 2

_UNBROKEN = [
    *(
        "anyio",
        "fastapi",
        "filelock",
        "httpx2",
        "jsonschema",
        "jwt",
        "mcp",
        "mcp.client.streamable_http",
    ),
    *("mcp.server.mcpserver", "phonenumbers", "psycopg", "psycopg_pool", "pytest", "sqlite3"),
    *("kallyai_mcp.sandbox.app", "kallyai_mcp.api.models", __name__),
]
"""What every build imports, unbroken: most of the time that a run takes."""


def main() -> int:
    """Print a line for each broken build; returns 1 if one was not detected, or if the real one
    broke a rule.
    """
    _log_nothing()
    failed = False
    with PostgresServer(folder=fast_folder()) as server:
        tasks = [
            (broken.name, server.create_database() if broken.shared_runs else None)
            for broken in BROKEN
        ]
        with processes(_UNBROKEN).Pool(_JOBS, maxtasksperchild=1) as pool:
            for (name, _), rules in zip(tasks, pool.imap(_run, tasks, chunksize=1), strict=True):
                failed = failed or not rules
                print(f"{name:70} {', '.join(rules) or 'NOT SEEN'}", flush=True)
        with processes(_UNBROKEN).Pool(_JOBS, _log_nothing) as pool:
            for reports in filter(None, pool.imap(_real_reports, tasks)):
                failed = True
                print(f"The real build: {reports}", flush=True)
    print(
        f"{len(BROKEN)} broken builds, "
        f"{'FAILED' if failed else 'each of them seen, and the real one breaks no rule'}"
    )
    return int(failed)


def _real_reports(task: tuple[str, str | None]) -> str:
    """The reports of the runs of a broken build in this process; empty if no rule was broken."""
    return _judged(*task)[1]


def _judged(name: str, url: str | None) -> tuple[list[str], str]:
    """The rules that were broken in the runs of a broken build in this process, and the reports."""
    # Imported late: the process that runs a broken build must not import the real one before.
    from tests.faults.simulation.judging import report
    from tests.faults.simulation.many import KINDS, evidence_of

    [broken] = [each for each in BROKEN if each.name == name]
    rules, reports = set[str](), ""
    for plan in broken.plans:
        evidence = evidence_of(plan, url)
        if violations := KINDS[plan.kind][1](evidence):
            rules |= {violation.rule.value for violation in violations}
            reports += report(evidence, violations, f"the run of: {name}")
    return sorted(rules), reports


def _run(task: tuple[str, str | None]) -> list[str]:
    """The rules that a build breaks; this process must not have imported the program before."""
    [broken] = [each for each in BROKEN if each.name == task[0]]
    break_program(broken)
    _log_nothing()
    return _judged(*task)[0]


def _log_nothing() -> None:
    """Write no log: a run collects the errors itself."""
    logging.getLogger("kallyai_mcp").addHandler(logging.NullHandler())
    logging.getLogger("kallyai_mcp").propagate = False
