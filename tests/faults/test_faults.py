"""A few runs of the fault suite, and tests of its plans, checks, and reports."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
from mcp.types import CallToolResult, TextContent

from kallyai_mcp.sandbox.faults import FaultPlan, Kind
from tests.agent import Answer
from tests.faults.__main__ import SERVERS, WORKERS, Suite, missing, table
from tests.faults.agent import ToolUse
from tests.faults.checks import Evidence, find_violations
from tests.faults.plans import ENDING_ACTIONS, WORKER_ACTIONS, Action, Plan, Step, UnreadEnd, plans
from tests.faults.runs import RunResult, Totals, run_all, run_with_workers
from tests.faults.stdio_broken import BUILDS, StdioBuild
from tests.faults.violations import Rule
from tests.faults.worker_plans import worker_plan, worker_plans
from tests.postgres_server import NO_SERVER, has_server

RUNS = 100
"""How many seeds CI runs with `python -m tests.faults`; the seeds here follow those."""

FEW = 2
"""How many seeds run here."""

QUICK_WORKER_SEEDS = (1543,)
"""A plan for workers with short calls."""

TASK = "Ask for the opening hours"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzYW5kYm94In0.c2lnbmF0dXJlLW9mLW5vdGhpbmc"


# The runs


async def test_a_call_is_placed_at_most_once_and_its_outcome_is_kept_whatever_fails() -> None:
    reports: list[str] = []

    def report(result: RunResult) -> None:
        if result.violations:
            reports.append(result.report())

    totals = await run_all(plans(RUNS, FEW), FEW, report)

    assert not reports, "\n\n".join(reports)
    assert totals.runs == FEW
    assert totals.placed > 0
    assert totals.fired.total() > 0


@pytest.mark.skipif(not has_server(), reason=NO_SERVER)
async def test_a_call_is_placed_at_most_once_and_its_outcome_is_kept_when_one_of_two_workers_ends() -> None:
    reports: list[str] = []
    ended: list[bool] = []

    def report(result: RunResult) -> None:
        if result.violations:
            reports.append(result.report())
        ended.append(bool(result.evidence.ended_at_steps))

    totals = await run_with_workers(map(worker_plan, QUICK_WORKER_SEEDS), len(QUICK_WORKER_SEEDS), report)

    assert not reports, "\n\n".join(reports)
    assert ended == [True] * len(QUICK_WORKER_SEEDS)
    assert totals.placed > 0


@pytest.mark.parametrize(("suite", "action"), [(SERVERS, Action.KILLED), (WORKERS, Action.WORKER_KILLED)])
def test_a_hundred_runs_without_some_action_or_fault_are_reported(suite: Suite, action: Action) -> None:
    complete = Totals(runs=RUNS, actions=Counter(suite.actions), fired=Counter(get_args(Kind)))
    no_stall = replace(complete, fired=complete.fired - Counter(["stall"]))
    no_kill = replace(complete, actions=complete.actions - Counter([action]))

    assert not missing(complete, suite)
    assert missing(no_stall, suite) == ["no run had: stall"]
    assert missing(no_kill, suite) == [f"no run had: {action}"]
    assert not missing(replace(no_stall, runs=RUNS - 1), suite)


def test_a_hundred_plans_cover_everything() -> None:
    hundred = list(plans(0, RUNS))

    assert {kind for plan in hundred for kind in plan.kinds} == set(get_args(Kind))
    assert {plan.action for plan in hundred} == set(Action) - set(WORKER_ACTIONS)
    assert {plan.end_at for plan in hundred} == {None, *Step} - {Step.DELIVERED}
    assert {plan.mode for plan in hundred} == {"auto", "legacy"}
    quirks = {(plan.faults.list_only_ended, plan.faults.forget_key_when_ended) for plan in hundred}
    assert len(quirks) == 4
    assert {plan.afterwards for plan in hundred if plan.action in ENDING_ACTIONS} == {"asks again", "only looks"}
    assert {plan.has_standby for plan in hundred if plan.action in ENDING_ACTIONS} == {True, False}
    assert any(plan.ends_twice for plan in hundred if plan.action is Action.KILLED)
    assert any(len(plan.tasks) == 2 for plan in hundred)
    unread = [plan for plan in hundred if plan.action is Action.STOPS_READING]
    assert {plan.unread_end for plan in unread} == set(get_args(UnreadEnd))
    assert {bool(plan.unread_lists) for plan in unread} == {True, False}


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_the_patches_of_a_broken_server_fit_the_program(build: StdioBuild) -> None:
    for patch in build.patches:
        assert patch.new in patch.source()


def test_a_hundred_plans_for_workers_cover_everything() -> None:
    hundred = list(worker_plans(0, RUNS))

    assert {kind for plan in hundred for kind in plan.kinds} == set(get_args(Kind))
    assert {plan.action for plan in hundred} == set(WORKER_ACTIONS)
    assert {plan.end_at for plan in hundred} == {None, *Step} - {Step.DELIVERED}
    assert {plan.mode for plan in hundred} == {"auto", "legacy"}
    assert {len(plan.tasks) for plan in hundred} == {1, 2, 3, 4, 5}
    assert {plan.is_restarted for plan in hundred} == {True, False}
    assert {plan.is_restarted for plan in hundred if plan.ends_twice} == {True}


@pytest.mark.parametrize("plan_of", [Plan.of, worker_plan])
def test_a_seed_always_makes_the_same_plan_and_its_description_is_complete(plan_of: Callable[[int], Plan]) -> None:
    for seed in range(RUNS):
        assert plan_of(seed) == plan_of(seed)
        assert str(plan_of(seed).action) in plan_of(seed).describe()
        for kind in plan_of(seed).kinds:
            assert kind in plan_of(seed).describe()


# The checks


def placed(number: int = 1, status: str = "success", task: str = TASK) -> dict[str, Any]:
    return {"call_id": f"c{number}", "status": status, "task_description": task, "idempotency_key": f"k{number}"}


def row(number: int = 1, state: str = "ended", status: str | None = "success", task: str = TASK) -> dict[str, Any]:
    return {
        "tracking_id": f"t{number}",
        "call_id": f"c{number}" if status else None,
        "idempotency_key": f"k{number}",
        "state": state,
        "outcome": f'{{"status": "{status}"}}' if status else None,
        "submission": f'{{"task_description": "{task}"}}',
    }


def answered(at: float, number: int = 1, status: str = "success", **more: Any) -> ToolUse:
    known = {"call_id": f"c{number}"} if status != "in_progress" else {}
    structure = {"status": status, "tracking_id": f"t{number}", **known}
    answer = Answer(CallToolResult(content=[TextContent(type="text", text=status)], structured_content=structure))
    return ToolUse(more.get("task", TASK), more.get("redial", False), asked_at=at - 1, ended_at=at, answer=answer)


def evidence(*uses: ToolUse, statuses: tuple[str, ...] = ("success",)) -> Evidence:
    """The evidence of a run without violations, with a call for each status."""
    calls = [placed(number, status) for number, status in enumerate(statuses, 1)]
    rows = [row(number, status=status) for number, status in enumerate(statuses, 1)]
    shown = {f"{x}{n}": {"call_id": f"c{n}", "status": status} for n, status in enumerate(statuses, 1) for x in "tc"}
    plan = replace(Plan.of(0), tasks=(TASK,), faults=FaultPlan(), action=Action.WAITS)
    return Evidence(
        plan,
        TOKEN,
        uses=uses or (answered(1, status=statuses[0]),),
        placed=calls,
        rows=rows,
        shown=shown,
        listed=[{"call_id": call["call_id"], "status": call["status"]} for call in calls],
        stderr={"server 1": ""},
    )


def violated(found: Evidence) -> set[Rule]:
    return {violation.rule for violation in find_violations(found)}


def test_a_run_in_which_nothing_failed_has_no_violation() -> None:
    assert find_violations(evidence()) == []


def test_a_call_that_was_placed_twice_is_found() -> None:
    assert violated(evidence(statuses=("success", "success"))) == {Rule.TWICE}
    assert violated(evidence(answered(1), answered(2), statuses=("success", "success"))) == {Rule.TWICE}


def test_a_call_that_was_not_asked_for_is_found() -> None:
    assert Rule.TWICE in violated(evidence(answered(1, task=None)))


def test_a_redial_may_place_a_second_call() -> None:
    assert violated(evidence(answered(1), answered(3, 2, redial=True), statuses=("success", "success"))) == set()


def test_a_redial_places_no_second_call_before_the_agent_was_told_how_the_first_one_ended() -> None:
    redialed, statuses = answered(3, 2, redial=True), ("success", "success")

    assert violated(evidence(answered(2.5), redialed, statuses=statuses)) == {Rule.TWICE}
    assert violated(evidence(answered(1, status="in_progress"), redialed, statuses=statuses)) == {Rule.TWICE}


def test_an_unsuccessful_call_may_be_placed_again_only_after_the_agent_was_told() -> None:
    statuses, again = ("busy", "success"), answered(3, 2)

    assert violated(evidence(answered(1, status="busy"), again, statuses=statuses)) == set()
    assert violated(evidence(answered(2.5, status="busy"), again, statuses=statuses)) == {Rule.TWICE}
    told_later = answered(1.5, status="busy", task=None)
    assert violated(evidence(answered(0.5, status="in_progress"), told_later, again, statuses=statuses)) == set()


def test_an_unsuccessful_call_allows_only_one_more() -> None:
    uses = answered(1, status="busy"), answered(3, 2), answered(5, 3)

    assert violated(evidence(*uses, statuses=("busy", "success", "success"))) == {Rule.TWICE}


@pytest.mark.parametrize(
    "change",
    [
        {"rows": ()},
        {"rows": [row(state="unknown", status=None)]},
        {"rows": [row(status="busy")]},
        {"shown": {}},
        {"shown": {"t1": {"call_id": "c1", "status": "success"}}},
        {"listed": ()},
        {"listed": [{"call_id": "c1", "status": "in_progress"}]},
    ],
    ids=["no row", "unknown", "another outcome", "not shown", "not shown by call_id", "not listed", "listed wrongly"],
)
def test_an_outcome_that_was_lost_is_found(change: dict[str, Any]) -> None:
    assert Rule.LOST in violated(replace(evidence(), **change))


def test_two_unknown_records_of_one_call_are_in_doubt() -> None:
    """Neither takes it; one such record alone would have to find its call."""
    unknown, other = [row(number, "unknown", None) for number in (1, 2)], row(2, "unknown", None, task="Another")

    assert violated(replace(evidence(), plan=Plan.of(1), rows=unknown)) == set()
    assert Rule.LOST in violated(replace(evidence(), plan=Plan.of(1), rows=[unknown[0], other]))


@pytest.mark.parametrize("state", ["reserved", "sent"])
def test_a_record_that_is_stuck_is_found(state: str) -> None:
    assert violated(replace(evidence(), placed=(), rows=[row(state=state, status=None)], uses=())) == {Rule.STUCK}


@pytest.mark.parametrize("state", ["unknown", "refused"])
def test_a_call_without_an_outcome_is_a_violation_only_where_nothing_failed(state: str) -> None:
    left = replace(evidence(), placed=(), rows=[row(state=state, status=None)], uses=())

    assert violated(left) == {Rule.STUCK}
    assert violated(replace(left, plan=replace(left.plan, action=Action.KILLED))) == set()
    assert violated(replace(left, plan=replace(left.plan, faults=FaultPlan(list_only_ended=True)))) == set()


def test_an_answer_that_is_not_true_is_found() -> None:
    assert violated(evidence(answered(1, status="busy"))) == {Rule.UNTRUE}
    assert violated(evidence(answered(1, number=2))) == {Rule.UNTRUE}
    assert violated(evidence(answered(1, number=7, status="in_progress"))) == {Rule.UNTRUE}


def test_an_outcome_of_another_task_is_found() -> None:
    assert Rule.UNTRUE in violated(replace(evidence(), rows=[row(task="Ask for a table")]))


def test_a_placed_call_that_is_recorded_as_refused_is_found() -> None:
    assert Rule.UNTRUE in violated(replace(evidence(), rows=[row(state="refused", status=None)]))


@pytest.mark.parametrize("text", [f"Authorization: {TOKEN}", TOKEN.split(".")[2], "Traceback (most recent call last):"])
def test_tokens_and_tracebacks_in_the_output_are_found(text: str) -> None:
    assert violated(replace(evidence(), stderr={"server 1": f"WARNING {text}"})) == {Rule.LEAKED}


def test_a_server_that_does_not_end_is_found() -> None:
    assert violated(replace(evidence(), failed=["server 1 did not end"])) == {Rule.FAILED}


# The reports


def test_a_report_has_the_command_that_repeats_the_run_and_the_violations() -> None:
    found = replace(evidence(statuses=("success", "success")), stderr={"server 1": "a warning"}, log=["a line"])
    report = found.report(find_violations(found))

    assert report.startswith("uv run python -m tests.faults --runs 1 --seed 0\n")
    assert "VIOLATED placed twice" in report
    for part in ("c1", "c2", "t1", "t2", "a warning", "a line"):
        assert part in report


def test_the_command_that_repeats_a_run_with_workers_has_its_option() -> None:
    assert "python -m tests.faults --workers --runs 1 --seed 7" in Evidence(worker_plan(7), TOKEN).report([])


def test_the_table_counts_the_violations() -> None:
    totals = Totals()
    found = evidence(statuses=("success", "success"))
    totals.add(RunResult(found, find_violations(found)))

    figures = {line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in table(totals).splitlines()}
    assert figures["runs"] == "1"
    assert figures["calls placed"] == "2"
    assert figures["runs with: placed twice"] == "1"
    assert figures["runs with: outcome lost"] == "0"
