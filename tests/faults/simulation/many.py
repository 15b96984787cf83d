"""Carries out many simulated runs, and sums them up."""

import logging
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import psycopg

from tests.faults.machine import fast_folder, processes
from tests.faults.simulation.judging import Rule, report, unknown_calls
from tests.faults.simulation.later import find_later_violations, later_plan
from tests.faults.simulation.lists import find_list_violations, list_plan
from tests.faults.simulation.oracle import find_violations
from tests.faults.simulation.plan import Kind, Plan
from tests.faults.simulation.run import Evidence, Run, run_places
from tests.faults.simulation.seeds import simulated_plan
from tests.postgres_server import PostgresServer

_CHUNK = 25

KINDS = {
    "calls": (simulated_plan, find_violations),
    "later": (later_plan, find_later_violations),
    "lists": (list_plan, find_list_violations),
}


@dataclass
class Sums:
    """The sums over many runs, and the reports of those that broke a rule."""

    runs: int = 0
    placed: int = 0
    unknown: int = 0
    violated: Counter[Rule] = field(default_factory=Counter)
    reports: list[str] = field(default_factory=list)

    def add(self, other: "Sums") -> None:
        """Add those of other runs."""
        self.runs += other.runs
        self.placed += other.placed
        self.unknown += other.unknown
        self.violated += other.violated
        self.reports += other.reports

    def table(self) -> str:
        """The sums, one a line."""
        share = 100 * self.unknown / max(self.placed, 1)
        lines = [("runs", str(self.runs)), ("calls placed", str(self.placed))]
        lines += [(f"runs with: {rule}", str(self.violated[rule])) for rule in Rule]
        lines += [
            (
                "placed and unknown, where no client could find out",
                f"{self.unknown} ({share:.1f} %)",
            )
        ]
        return "\n".join(f"{name:75} {value}" for name, value in lines)


def simulate(first: int, runs: int, *, jobs: int, is_shared: bool, kind: Kind = "calls") -> Sums:
    """Carry out so many runs from the `first` seed on, in so many processes.

    If it `is_shared`, two workers share a PostgreSQL database; otherwise, processes share an SQLite
    file.
    """
    chunks = [
        (seed, min(_CHUNK, first + runs - seed)) for seed in range(first, first + runs, _CHUNK)
    ]
    if is_shared:
        with PostgresServer(folder=fast_folder()) as server:
            return _simulate(chunks, jobs, server, kind)
    return _simulate(chunks, jobs, None, kind)


def _simulate(
    chunks: list[tuple[int, int]], jobs: int, server: PostgresServer | None, kind: Kind
) -> Sums:
    sums = Sums()
    urls = [server.create_database() if server is not None else None for _ in chunks]
    tasks = [(first, runs, url, kind) for (first, runs), url in zip(chunks, urls, strict=True)]
    with processes([__name__]).Pool(jobs) as pool:
        for done in pool.imap_unordered(_chunk, tasks):
            sums.add(done)
            for text in done.reports:
                print(text, flush=True)
    return sums


def _chunk(task: tuple[int, int, str | None, Kind]) -> Sums:
    first, runs, url, kind = task
    logging.getLogger("kallyai_mcp").addHandler(logging.NullHandler())
    logging.getLogger("kallyai_mcp").propagate = False
    sums = Sums()
    for seed in range(first, first + runs):
        sums.add(run_plan(KINDS[kind][0](seed, is_shared=url is not None), url))
    return sums


def evidence_of(plan: Plan, url: str | None) -> Evidence:
    """What is known after a run with the ledger in a file of its own, or in the database at `url`,
    which is emptied.
    """
    if url is not None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
    with tempfile.TemporaryDirectory(prefix="faults-", dir=fast_folder()) as folder:
        places = [url] if url is not None else run_places(Path(folder), plan)
        return anyio.run(Run(plan, places).evidence)


def run_plan(plan: Plan, url: str | None = None) -> Sums:
    """Carry out one run, as `evidence_of` does, and judge it."""
    began = time.monotonic()
    evidence = evidence_of(plan, url)
    violations = KINDS[plan.kind][1](evidence)
    sums = Sums(1, len(evidence.placed), unknown_calls(evidence))
    sums.violated.update({violation.rule for violation in violations})
    if violations:
        option = (" --workers" if url is not None else "") + (
            f" --{plan.kind}" if plan.kind != "calls" else ""
        )
        command = f"uv run python -m tests.faults --simulated{option} --runs 1 --seed {plan.seed}"
        sums.reports.append(
            f"{report(evidence, violations, command)}\n{time.monotonic() - began:.1f} s\n"
        )
    return sums
