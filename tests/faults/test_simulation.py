"""One simulated run of each kind, and the proof that each broken build fits the program as it is.

`python -m tests.faults --simulated` has as many as asked, of each kind, and `--prove` shows that
each build is seen.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.simulation.builds import BROKEN
from tests.faults.simulation.many import KINDS, evidence_of, run_plan
from tests.faults.simulation.plan import Ask, Plan, Start, table
from tests.faults.simulation.seeds import simulated_plan
from tests.faults.stdio_broken import BUILDS as STDIO_BUILDS

FIRST = 40_000
"""The first seed of these runs; no other command begins there."""


def test_the_broken_builds_patches_fit_the_program() -> None:
    for patch in [patch for broken in BROKEN for patch in broken.patches] + [
        patch for _, patch, _ in STDIO_BUILDS
    ]:
        assert patch.new in patch.source()


def test_the_broken_builds_of_promises_exist() -> None:
    promises = (Path(__file__).parent.parent / "promises.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^  - broken build: (.+)$", promises, re.MULTILINE))
    known = {broken.name for broken in BROKEN} | {name for name, *_ in STDIO_BUILDS}

    assert named
    assert not named - known, (
        "tests/promises.md names broken builds that are not in tests/faults/simulation/builds.py"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulated_run_breaks_no_rule(kind: str) -> None:
    sums = run_plan(KINDS[kind][0](FIRST))

    assert not sums.reports, sums.reports[0]


def test_transactions_overlap_the_same_way_each_time(database_url: str) -> None:
    tasks = tuple(table(task_description=f"Ask question {number}") for number in range(4))
    asks = tuple(Ask(0, task=number, process=number % 2) for number in range(4))
    plan = Plan("overlap", tasks, asks, starts=(Start(), Start()), statement_seconds=0.3)

    first, again = (evidence_of(plan, database_url) for _ in range(2))

    assert [call.started for call in first.placed] == [call.started for call in again.placed]
    assert [use.answered_at for use in first.uses] == [use.answered_at for use in again.uses]
    other = evidence_of(replace(plan, seed=1), database_url)
    assert [use.answered_at for use in other.uses] != [use.answered_at for use in first.uses]


def test_two_simulated_workers_break_no_rule(database_url: str) -> None:
    sums = run_plan(simulated_plan(FIRST, is_shared=True), database_url)

    assert not sums.reports, sums.reports[0]
