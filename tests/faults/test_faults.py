from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
from mcp.types import CallToolResult, TextContent

from kallyai_mcp.sandbox.faults import FaultPlan, Kind
from tests.agent import Answer
from tests.faults.__main__ import SERVERS, WORKERS, Suite, table, vain
from tests.faults.agent import Ask
from tests.faults.oracle import Evidence, Law, judge
from tests.faults.plan import DEADLY, OF_WORKERS, Deed, Plan, Step, plans
from tests.faults.trial import Tally, Verdict, run_all, run_over_workers
from tests.faults.worker_plan import worker_plan, worker_plans
from tests.redis_server import binary

RUNS = 100
"""How many seeds CI takes, with `python -m tests.faults`; here is run a stretch of others, so that this stays short."""

FEW = 2
"""How many those are."""

QUICK_AT_WORKERS = (1543, 2149)
"""Seeds, one of each era, with short calls and a worker whose death is announced; in CI's runs some are just silent."""

ERRAND = "Ask for the opening hours"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzYW5kYm94In0.c2lnbmF0dXJlLW9mLW5vdGhpbmc"


# The runs themselves


async def test_whatever_goes_wrong_a_call_is_dialled_at_most_once_and_its_outcome_is_not_lost() -> None:
    broken: list[str] = []

    def seen(verdict: Verdict) -> None:
        if verdict.violations:
            broken.append(verdict.report())

    tally = await run_all(plans(RUNS, FEW), FEW, seen)

    assert not broken, "\n\n".join(broken)
    assert tally.runs == FEW
    assert tally.placed > 0
    assert tally.fired.total() > 0


async def test_a_call_is_dialled_at_most_once_and_not_lost_when_one_of_two_workers_is_killed() -> None:
    binary()
    broken: list[str] = []
    ended: list[bool] = []

    def seen(verdict: Verdict) -> None:
        if verdict.violations:
            broken.append(verdict.report())
        ended.append(bool(verdict.evidence.killed_at))

    tally = await run_over_workers([worker_plan(seed) for seed in QUICK_AT_WORKERS], len(QUICK_AT_WORKERS), seen)

    assert not broken, "\n\n".join(broken)
    assert ended == [True] * len(QUICK_AT_WORKERS)
    assert tally.placed > 0


@pytest.mark.parametrize(("suite", "deed"), [(SERVERS, Deed.KILLED), (WORKERS, Deed.WORKER_KILLED)])
def test_a_hundred_runs_in_which_not_everything_happened_prove_nothing(suite: Suite, deed: Deed) -> None:
    everything = Tally(runs=RUNS, deeds=Counter(suite.deeds), fired=Counter(get_args(Kind)))
    no_stall = replace(everything, fired=everything.fired - Counter(["stall"]))
    nobody_killed = replace(everything, deeds=everything.deeds - Counter([deed]))

    assert not vain(everything, suite)
    assert vain(no_stall, suite) == ["no run had: stall"]
    assert vain(nobody_killed, suite) == [f"no run had: {deed}"]
    assert not vain(replace(no_stall, runs=RUNS - 1), suite)


def test_a_hundred_plans_have_everything_in_them() -> None:
    hundred = list(plans(0, RUNS))

    assert {kind for plan in hundred for kind in plan.kinds} == set(get_args(Kind))
    assert {plan.deed for plan in hundred} == set(Deed) - set(OF_WORKERS)
    assert {plan.step for plan in hundred} == {None, *Step} - {Step.HANDED_OUT}
    assert {plan.mode for plan in hundred} == {"auto", "legacy"}
    quirks = {(plan.faults.list_only_ended, plan.faults.forget_key_when_ended) for plan in hundred}
    assert len(quirks) == 4
    assert {plan.then for plan in hundred if plan.deed in DEADLY} == {"asks again", "only looks"}
    assert {plan.witness for plan in hundred if plan.deed in DEADLY} == {True, False}
    assert any(plan.dies_twice for plan in hundred if plan.deed is Deed.KILLED)
    assert any(len(plan.errands) == 2 for plan in hundred)


def test_a_hundred_plans_for_workers_have_everything_in_them() -> None:
    hundred = list(worker_plans(0, RUNS))

    assert {kind for plan in hundred for kind in plan.kinds} == set(get_args(Kind))
    assert {plan.deed for plan in hundred} == set(OF_WORKERS)
    assert {plan.step for plan in hundred} == {None, *Step} - {Step.HANDED_OUT}
    assert {plan.mode for plan in hundred} == {"auto", "legacy"}
    assert {len(plan.errands) for plan in hundred} == {1, 2, 3, 4, 5}
    assert {plan.announced for plan in hundred} == {plan.comes_back for plan in hundred} == {True, False}
    assert {plan.comes_back for plan in hundred if plan.dies_twice} == {True}


@pytest.mark.parametrize("plan_of", [Plan.of, worker_plan])
def test_a_seed_is_always_the_same_plan_and_says_it_in_words(plan_of: Callable[[int], Plan]) -> None:
    for seed in range(RUNS):
        assert plan_of(seed) == plan_of(seed)
        assert str(plan_of(seed).deed) in plan_of(seed).words()
        for kind in plan_of(seed).kinds:
            assert kind in plan_of(seed).words()


# The oracle, so that no run can pass because nobody looks


def placed(number: int = 1, status: str = "success", task: str = ERRAND) -> dict[str, Any]:
    return {"call_id": f"c{number}", "status": status, "task_description": task, "idempotency_key": f"k{number}"}


def row(number: int = 1, state: str = "ended", status: str | None = "success", task: str = ERRAND) -> dict[str, Any]:
    return {
        "tracking_id": f"t{number}",
        "call_id": f"c{number}" if status else None,
        "idempotency_key": f"k{number}",
        "state": state,
        "outcome": f'{{"status": "{status}"}}' if status else None,
        "submission": f'{{"task_description": "{task}"}}',
    }


def answered(at: float, number: int = 1, status: str = "success", **more: Any) -> Ask:
    known = {"call_id": f"c{number}"} if status != "in_progress" else {}
    structure = {"status": status, "tracking_id": f"t{number}", **known}
    answer = Answer(CallToolResult(content=[TextContent(type="text", text=status)], structured_content=structure))
    return Ask(more.get("errand", ERRAND), more.get("redial", False), asked_at=at - 1, ended_at=at, answer=answer)


def evidence(*asks: Ask, statuses: tuple[str, ...] = ("success",)) -> Evidence:
    """What is left of a run that went well, with as many calls as there are statuses."""
    calls = [placed(number, status) for number, status in enumerate(statuses, 1)]
    rows = [row(number, status=status) for number, status in enumerate(statuses, 1)]
    shown = {f"{x}{n}": {"call_id": f"c{n}", "status": status} for n, status in enumerate(statuses, 1) for x in "tc"}
    plan = replace(Plan.of(0), errands=(ERRAND,), faults=FaultPlan(), deed=Deed.WAITS)
    return Evidence(
        plan,
        TOKEN,
        asks=asks or (answered(1, status=statuses[0]),),
        placed=calls,
        rows=rows,
        shown=shown,
        listed=[{"call_id": call["call_id"], "status": call["status"]} for call in calls],
        stderr={"server 1": ""},
    )


def laws(found: Evidence) -> set[Law]:
    return {violation.law for violation in judge(found)}


def test_the_oracle_has_nothing_against_a_run_that_went_well() -> None:
    assert judge(evidence()) == []


def test_the_oracle_sees_a_call_that_was_dialled_twice() -> None:
    assert laws(evidence(statuses=("success", "success"))) == {Law.TWICE}
    assert laws(evidence(answered(1), answered(2), statuses=("success", "success"))) == {Law.TWICE}


def test_the_oracle_sees_a_call_that_nobody_asked_for() -> None:
    assert Law.TWICE in laws(evidence(answered(1, errand=None)))


def test_the_oracle_lets_an_agent_ring_again_on_purpose() -> None:
    assert laws(evidence(answered(1), answered(3, 2, redial=True), statuses=("success", "success"))) == set()


def test_the_oracle_lets_a_vain_call_be_tried_again_only_once_the_agent_knows_of_it() -> None:
    vain, again = ("busy", "success"), answered(3, 2)

    assert laws(evidence(answered(1, status="busy"), again, statuses=vain)) == set()
    assert laws(evidence(answered(2.5, status="busy"), again, statuses=vain)) == {Law.TWICE}
    heard_later = answered(1.5, status="busy", errand=None)
    assert laws(evidence(answered(0.5, status="in_progress"), heard_later, again, statuses=vain)) == set()


def test_the_oracle_counts_one_more_call_for_one_vain_call() -> None:
    asks = answered(1, status="busy"), answered(3, 2), answered(5, 3)

    assert laws(evidence(*asks, statuses=("busy", "success", "success"))) == {Law.TWICE}


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
def test_the_oracle_sees_an_outcome_that_was_lost(change: dict[str, Any]) -> None:
    assert Law.LOST in laws(replace(evidence(), **change))


@pytest.mark.parametrize("state", ["prepared", "sent"])
def test_the_oracle_sees_a_row_that_is_stuck(state: str) -> None:
    assert laws(replace(evidence(), placed=(), rows=[row(state=state, status=None)], asks=())) == {Law.STUCK}


@pytest.mark.parametrize("state", ["unknown", "refused"])
def test_the_oracle_wants_an_outcome_where_nothing_went_wrong(state: str) -> None:
    left = replace(evidence(), placed=(), rows=[row(state=state, status=None)], asks=())

    assert laws(left) == {Law.STUCK}
    assert laws(replace(left, plan=replace(left.plan, deed=Deed.KILLED))) == set()
    assert laws(replace(left, plan=replace(left.plan, faults=FaultPlan(list_only_ended=True)))) == set()


def test_the_oracle_sees_an_agent_that_was_told_what_is_not_so() -> None:
    assert laws(evidence(answered(1, status="busy"))) == {Law.UNTRUE}
    assert laws(evidence(answered(1, number=2))) == {Law.UNTRUE}
    assert laws(evidence(answered(1, number=7, status="in_progress"))) == {Law.UNTRUE}


def test_the_oracle_sees_an_outcome_that_belongs_to_another_errand() -> None:
    assert Law.UNTRUE in laws(replace(evidence(), rows=[row(task="Ask for a table")]))


def test_the_oracle_sees_a_placed_call_that_is_said_to_be_refused() -> None:
    assert Law.UNTRUE in laws(replace(evidence(), rows=[row(state="refused", status=None)]))


@pytest.mark.parametrize("said", [f"Authorization: {TOKEN}", TOKEN.split(".")[2], "Traceback (most recent call last):"])
def test_the_oracle_sees_tokens_and_tracebacks(said: str) -> None:
    assert laws(replace(evidence(), stderr={"server 1": f"WARNING {said}"})) == {Law.LEAKED}


def test_the_oracle_sees_a_server_that_did_not_end() -> None:
    assert laws(replace(evidence(), failed=["server 1 did not end"])) == {Law.FAILED}


def test_a_report_says_how_to_repeat_the_run_and_what_was_broken() -> None:
    found = replace(evidence(statuses=("success", "success")), stderr={"server 1": "a word"}, log=["a line"])
    report = found.report(judge(found))

    assert report.startswith("uv run python -m tests.faults --runs 1 --seed 0\n")
    assert "VIOLATED dialled twice" in report
    for part in ("c1", "c2", "t1", "t2", "a word", "a line"):
        assert part in report


def test_a_report_of_a_run_at_workers_is_repeated_at_workers() -> None:
    assert "python -m tests.faults --workers --runs 1 --seed 7" in Evidence(worker_plan(7), TOKEN).report([])


def test_the_table_counts_what_was_broken() -> None:
    tally = Tally()
    found = evidence(statuses=("success", "success"))
    tally.add(Verdict(found, judge(found)))

    figures = {line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in table(tally).splitlines()}
    assert figures["runs"] == "1"
    assert figures["calls placed"] == "2"
    assert figures["runs with: dialled twice"] == "1"
    assert figures["runs with: outcome lost"] == "0"
