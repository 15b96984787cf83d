"""The checks after a run: what must be true whatever happened in it, and the report of a run in which it is not."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import anyio

from tests.faults.agent import LONG, Agent, ToolUse
from tests.faults.plans import Plan, Step
from tests.faults.system import Row, Server, System, poll_seconds
from tests.faults.violations import Rule, Violation

ACTIVE = ("reserved", "sent")
"""The ledger's states of a call that has no outcome yet."""

_SHORTEST_SECRET = 12


RULES = (Rule.TWICE, Rule.LOST, Rule.STUCK, Rule.UNTRUE, Rule.LEAKED, Rule.FAILED)
"""What these checks judge by."""


@dataclass
class Evidence:
    """What is known after a run.

    Attributes:
        plan: The run's plan.
        token: The access token, which must not appear in any output.
        uses: Every use of a tool, with its answer.
        placed: Every call that the service placed.
        rows: The rows of the ledger.
        shown: What `get_call` answers at the end, by tracking id and by call id.
        listed: What `list_calls` answers at the end.
        stderr: The stderr of each server, by name.
        failed: The servers that did not start or end, in text.
        fired: How often each kind of fault happened.
        ended_at_steps: How far the newest call was, each time that a server ended.
        log: What happened, line by line.
    """

    plan: Plan
    token: str
    uses: Sequence[ToolUse] = ()
    placed: Sequence[Mapping[str, Any]] = ()
    rows: Sequence[Row] = ()
    shown: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    listed: Sequence[Mapping[str, Any]] = ()
    stderr: Mapping[str, str] = field(default_factory=dict)
    failed: Sequence[str] = ()
    fired: Mapping[str, int] = field(default_factory=dict)
    ended_at_steps: Sequence[Step] = ()
    log: Sequence[str] = ()

    def report(self, violations: Sequence[Violation]) -> str:
        """All that a developer needs to understand the run and to repeat it."""
        return "\n".join(
            chain(
                [self.plan.command, self.plan.describe()],
                (f"VIOLATED {violation.rule}: {violation.text}" for violation in violations),
                ["what happened:", *self.log],
                ["the service's calls:", *(json.dumps(dict(call)) for call in self.placed)],
                ["the ledger's rows:", *(json.dumps(row, default=str) for row in self.rows)],
                [f"faults that happened: {dict(self.fired)}"],
                *([f"{name}'s stderr:", text] for name, text in self.stderr.items() if text),
            )
        )

    @property
    def unknown(self) -> int:
        """How many calls are `unknown` at the end."""
        return sum(row["state"] == "unknown" for row in self.rows)


async def settle(system: System, agent: Agent, last: Server) -> Evidence:
    """End the faults, wait until every call has its outcome, and collect the evidence.

    Args:
        system: The run's system.
        agent: The run's agent.
        last: A server that still runs.
    """
    fired = await system.disarm_faults()
    evidence = Evidence(agent.plan, system.token, fired=fired, ended_at_steps=agent.ended_at_steps)
    with anyio.move_on_after(LONG):
        while active := [row for row in await system.rows() if row["state"] in ACTIVE]:
            answer = await last.client.call_tool("get_call", {"call_id": active[0]["tracking_id"], "wait_seconds": 10})
            if answer.is_error:  # it was answered at once
                await anyio.sleep(poll_seconds(Step.ENDED))
    # A call that is `unknown` may still be in progress at the service; `get_call` finds it once it has ended.
    await system.service.wait_for_all_calls()
    shown: dict[str, Mapping[str, Any]] = {}
    with anyio.move_on_after(LONG):
        tracking_ids = [row["tracking_id"] for row in await system.rows()]
        for id_ in tracking_ids + [call["call_id"] for call in await system.placed()]:
            answer = await last.client.call_tool("get_call", {"call_id": id_})
            shown[id_] = answer.structured_content or {}
        listing = await last.client.call_tool("list_calls", {"limit": 200})
        evidence.listed = (listing.structured_content or {}).get("calls", [])
    evidence.shown = shown
    return evidence


def find_violations(evidence: Evidence) -> list[Violation]:
    """Every violation in the run."""
    checks = (_placed_twice, _lost, _stuck, _untrue, _leaked, _failed)
    return [violation for check in checks for violation in check(evidence)]


def _placed_twice(evidence: Evidence) -> Iterator[Violation]:
    for task in evidence.plan.tasks:
        calls = {call["call_id"] for call in evidence.placed if _is_same(call["task_description"], task)}
        allowed = _allowed_calls(task, evidence.uses, calls)
        if len(calls) > allowed:
            yield Violation(Rule.TWICE, f"{task!r} was placed {len(calls)} times; {allowed} would have been right")


def _allowed_calls(task: str, uses: Sequence[ToolUse], calls: set[str]) -> int:
    """How often a task may have been placed.

    Once; and once more for each request with `redial` after the agent was told something other than that the call is in
    progress, or for each request after the agent was told that a call did not succeed.

    Args:
        task: Its task description.
        uses: All uses of tools.
        calls: The ids of the calls that were placed for it.
    """
    told: dict[str, float] = {}  # when the agent was first told of each call that did not succeed
    for use in uses:
        outcome = use.outcome
        if outcome is not None and outcome["status"] != "success" and outcome["call_id"] in calls:
            told.setdefault(outcome["call_id"], use.ended_at)
    requests = [use for use in uses if use.task == task]
    known = {use.tracking_id for use in requests} - {None}
    ends = [
        use.ended_at
        for use in uses
        if use.answer is not None
        and use.answer.data.get("status") != "in_progress"
        and (use.task == task or use.tracking_id in known)
    ]
    allowed = 1 if requests else 0
    for use in requests:
        reason = next((call_id for call_id, at in told.items() if at <= use.asked_at), None)
        if reason is not None:
            del told[reason]  # one unsuccessful call is a reason for one more call
        allowed += reason is not None or (use.redial and min(ends, default=math.inf) <= use.asked_at)
    return allowed


def _lost(evidence: Evidence) -> Iterator[Violation]:
    listed = {call.get("call_id"): call["status"] for call in evidence.listed}
    for call in evidence.placed:
        id_, status = call["call_id"], call["status"]
        row = next((row for row in evidence.rows if row["call_id"] == id_), None)
        if row is None:
            if not _is_in_doubt(call, evidence):
                yield Violation(Rule.LOST, f"call {id_} has no record in the ledger")
            continue
        if row["state"] != "ended" or json.loads(row["outcome"])["status"] != status:
            yield Violation(Rule.LOST, f"call {id_} is {status}, but the ledger has {row['state']} {row['outcome']}")
        for name in (row["tracking_id"], id_):
            shown = evidence.shown.get(name, {})
            if (shown.get("call_id"), shown.get("status")) != (id_, status):
                yield Violation(Rule.LOST, f"call {id_} is {status}, but get_call {name} shows {dict(shown)}")
        if listed.get(id_) != status:
            yield Violation(Rule.LOST, f"call {id_} is {status}, but list_calls has {listed.get(id_)}")


def _is_in_doubt(call: Mapping[str, Any], evidence: Evidence) -> bool:
    """Whether two unknown records may be those of one call: then neither takes it (rule 3 of the design)."""
    unknown = [json.loads(row["submission"]) for row in evidence.rows if row["state"] == "unknown"]
    return sum(_is_same(call["task_description"], submission["task_description"]) for submission in unknown) > 1


def _stuck(evidence: Evidence) -> Iterator[Violation]:
    for row in evidence.rows:
        if row["state"] in ACTIVE:
            yield Violation(Rule.STUCK, f"{row['tracking_id']} is still {row['state']}")
        elif row["state"] != "ended" and evidence.plan.is_faultless:
            yield Violation(Rule.STUCK, f"{row['tracking_id']} is {row['state']} although there were no faults")


def _untrue(evidence: Evidence) -> Iterator[Violation]:
    calls = {call["call_id"]: call for call in evidence.placed}
    tasks = {call["idempotency_key"]: call["task_description"] for call in evidence.placed}
    for row in evidence.rows:
        if row["state"] == "refused" and row["idempotency_key"] in tasks:
            yield Violation(Rule.UNTRUE, f"{row['tracking_id']} is refused, but its call was placed")
        task = json.loads(row["submission"])["task_description"]
        if row["call_id"] is not None and not _is_same(calls.get(row["call_id"], {}).get("task_description"), task):
            yield Violation(Rule.UNTRUE, f"{row['tracking_id']} has the outcome of another task or of no call")
    recorded = {row["tracking_id"] for row in evidence.rows}
    for use in evidence.uses:
        if use.outcome is not None:
            call = calls.get(use.outcome["call_id"], {})
            task = call.get("task_description")
            if call.get("status") != use.outcome["status"] or (use.task is not None and not _is_same(task, use.task)):
                yield Violation(Rule.UNTRUE, f"the agent was told {use.outcome}, but the call is {dict(call)}")
        elif use.is_open and use.tracking_id not in recorded:
            yield Violation(Rule.UNTRUE, f"the agent was told of {use.tracking_id}, but the ledger has no such record")


def _leaked(evidence: Evidence) -> Iterator[Violation]:
    secrets = [part for part in evidence.token.split(".") if len(part) >= _SHORTEST_SECRET]
    texts = {f"{name}'s stderr": text for name, text in evidence.stderr.items()}
    texts |= {"the agent": "\n".join(evidence.log), "the ledger": json.dumps(list(evidence.rows), default=str)}
    for where, text in texts.items():
        if any(secret in text for secret in secrets):
            yield Violation(Rule.LEAKED, f"{where} has a part of the token")
        if "Traceback" in text:
            yield Violation(Rule.LEAKED, f"{where} has a traceback")


def _failed(evidence: Evidence) -> Iterator[Violation]:
    for text in evidence.failed:
        yield Violation(Rule.FAILED, text)


def _is_same(placed: str | None, task: str) -> bool:
    """Whether both are the same task description, but for upper case and white space."""
    return placed is not None and " ".join(placed.split()).casefold() == " ".join(task.split()).casefold()
