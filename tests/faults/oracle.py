"""What must be true after a run, whatever happened in it; and the words for a run of which it is not."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Any

import anyio

from tests.faults.agent import LONG, Agent, Ask
from tests.faults.plan import Plan, Step
from tests.faults.world import Row, Server, World

UNDER_WAY = ("prepared", "sent")
"""The ledger's states of a call that somebody must still bring to its end."""

_SHORTEST_SECRET = 12


class Law(StrEnum):
    """What can be broken."""

    TWICE = "dialled twice"
    LOST = "outcome lost"
    STUCK = "row stuck"
    UNTRUE = "not true"
    LEAKED = "token or traceback leaked"
    FAILED = "server failed or hung"


@dataclass(frozen=True)
class Violation:
    """One law broken, and how."""

    law: Law
    words: str


@dataclass
class Evidence:
    """What is left after a run.

    Attributes:
        plan: The run's.
        token: The access token, of which nobody may have said a word.
        asks: What the agent asked, and was told.
        placed: Every call that the service really placed.
        rows: The ledger.
        shown: What `get_call` says in the end, by tracking id and by call id.
        listed: What `list_calls` says in the end.
        stderr: What each server has said there.
        failed: What did not start, or did not end in time.
        fired: How often each kind of fault has fired.
        killed_at: How far the call had come, each time that a server ended.
        log: What happened, line by line.
    """

    plan: Plan
    token: str
    asks: Sequence[Ask] = ()
    placed: Sequence[Mapping[str, Any]] = ()
    rows: Sequence[Row] = ()
    shown: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    listed: Sequence[Mapping[str, Any]] = ()
    stderr: Mapping[str, str] = field(default_factory=dict)
    failed: Sequence[str] = ()
    fired: Mapping[str, int] = field(default_factory=dict)
    killed_at: Sequence[Step] = ()
    log: Sequence[str] = ()

    def report(self, violations: Sequence[Violation]) -> str:
        """Everything that a person needs to understand the run and to repeat it."""
        return "\n".join(
            chain(
                [self.plan.command, self.plan.words()],
                (f"VIOLATED {violation.law}: {violation.words}" for violation in violations),
                ["what happened:", *self.log],
                ["the service's calls:", *(json.dumps(dict(call)) for call in self.placed)],
                ["the ledger's rows:", *(json.dumps(row, default=str) for row in self.rows)],
                [f"fired: {dict(self.fired)}"],
                *([f"{name}'s stderr:", text] for name, text in self.stderr.items() if text),
            )
        )

    @property
    def unknown(self) -> int:
        """How many calls are `unknown` in the end."""
        return sum(row["state"] == "unknown" for row in self.rows)


async def settled(world: World, agent: Agent, last: Server) -> Evidence:
    """Let everything come to its end with a service that is well again, and see what there is."""
    evidence = Evidence(agent.plan, world.token, fired=await world.calm(), killed_at=agent.killed_at)
    with anyio.move_on_after(LONG):
        while unsettled := [row for row in await world.rows() if row["state"] in UNDER_WAY]:
            await last.client.call_tool("get_call", {"call_id": unsettled[0]["tracking_id"], "wait_seconds": 10})
    # A call that the dialler gave up on can be going on: it is to be found once it has ended.
    await world.service.until_all_calls_are_over()
    shown: dict[str, Mapping[str, Any]] = {}
    with anyio.move_on_after(LONG):
        tracking_ids = [row["tracking_id"] for row in await world.rows()]
        for id_ in tracking_ids + [call["call_id"] for call in await world.placed()]:
            answer = await last.client.call_tool("get_call", {"call_id": id_})
            shown[id_] = answer.structured_content or {}
        listing = await last.client.call_tool("list_calls", {"limit": 200})
        evidence.listed = (listing.structured_content or {}).get("calls", [])
    evidence.shown = shown
    return evidence


def judge(evidence: Evidence) -> list[Violation]:
    """Every law that the run has broken."""
    laws = (_at_most_once, _never_lost, _never_stuck, _told_the_truth, _kept_secret, _kept_time)
    return [violation for law in laws for violation in law(evidence)]


def _at_most_once(evidence: Evidence) -> Iterator[Violation]:
    for errand in evidence.plan.errands:
        calls = {call["call_id"] for call in evidence.placed if _is(call["task_description"], errand)}
        allowed = _allowed(errand, evidence.asks, calls)
        if len(calls) > allowed:
            yield Violation(Law.TWICE, f"{errand!r} was dialled {len(calls)} times; {allowed} would have been right")


def _allowed(errand: str, asks: Sequence[Ask], calls: set[str]) -> int:
    """How often an errand may have been dialled: once, and again on purpose or after a vain call that was reported.

    Args:
        errand: Its task.
        asks: All that the agent asked, and was told.
        calls: The ids of the calls that were placed for it.
    """
    heard: dict[str, float] = {}  # when the agent was told first of each call that was in vain
    for ask in asks:
        outcome = ask.outcome
        if outcome is not None and outcome["status"] != "success" and outcome["call_id"] in calls:
            heard.setdefault(outcome["call_id"], ask.ended_at)
    wanted = [ask for ask in asks if ask.errand == errand]
    allowed = 1 if wanted else 0
    for ask in wanted:
        reason = next((call_id for call_id, at in heard.items() if at <= ask.asked_at), None)
        if reason is not None:
            del heard[reason]  # one vain call is a reason for one more
        allowed += ask.redial or reason is not None
    return allowed


def _never_lost(evidence: Evidence) -> Iterator[Violation]:
    listed = {call.get("call_id"): call["status"] for call in evidence.listed}
    for call in evidence.placed:
        id_, status = call["call_id"], call["status"]
        row = next((row for row in evidence.rows if row["call_id"] == id_), None)
        if row is None:
            yield Violation(Law.LOST, f"call {id_} is nobody's in the ledger")
            continue
        if row["state"] != "ended" or json.loads(row["outcome"])["status"] != status:
            yield Violation(Law.LOST, f"call {id_} is {status}, but the ledger has {row['state']} {row['outcome']}")
        for name in (row["tracking_id"], id_):
            shown = evidence.shown.get(name, {})
            if (shown.get("call_id"), shown.get("status")) != (id_, status):
                yield Violation(Law.LOST, f"call {id_} is {status}, but get_call {name} shows {dict(shown)}")
        if listed.get(id_) != status:
            yield Violation(Law.LOST, f"call {id_} is {status}, but list_calls has {listed.get(id_)}")


def _never_stuck(evidence: Evidence) -> Iterator[Violation]:
    for row in evidence.rows:
        if row["state"] in UNDER_WAY:
            yield Violation(Law.STUCK, f"{row['tracking_id']} is still {row['state']}")
        elif row["state"] != "ended" and evidence.plan.all_is_well:
            yield Violation(Law.STUCK, f"{row['tracking_id']} is {row['state']} although nothing went wrong")


def _told_the_truth(evidence: Evidence) -> Iterator[Violation]:
    calls = {call["call_id"]: call for call in evidence.placed}
    tasks = {call["idempotency_key"]: call["task_description"] for call in evidence.placed}
    for row in evidence.rows:
        if row["state"] == "refused" and row["idempotency_key"] in tasks:
            yield Violation(Law.UNTRUE, f"{row['tracking_id']} is refused, but its call was placed")
        task = json.loads(row["submission"])["task_description"]
        if row["call_id"] is not None and not _is(calls.get(row["call_id"], {}).get("task_description"), task):
            yield Violation(Law.UNTRUE, f"{row['tracking_id']} has the outcome of another errand or of no call")
    tracked = {row["tracking_id"] for row in evidence.rows}
    for ask in evidence.asks:
        if ask.outcome is not None:
            call = calls.get(ask.outcome["call_id"], {})
            task = call.get("task_description")
            if call.get("status") != ask.outcome["status"] or (ask.errand is not None and not _is(task, ask.errand)):
                yield Violation(Law.UNTRUE, f"the agent was told {ask.outcome}, but the call is {dict(call)}")
        elif ask.is_open and ask.tracking_id not in tracked:
            yield Violation(Law.UNTRUE, f"the agent was told of {ask.tracking_id}, but the ledger has no such row")


def _kept_secret(evidence: Evidence) -> Iterator[Violation]:
    secrets = [part for part in evidence.token.split(".") if len(part) >= _SHORTEST_SECRET]
    said = {f"{name}'s stderr": text for name, text in evidence.stderr.items()}
    said |= {"the agent": "\n".join(evidence.log), "the ledger": json.dumps(list(evidence.rows), default=str)}
    for whose, text in said.items():
        if any(secret in text for secret in secrets):
            yield Violation(Law.LEAKED, f"{whose} has a part of the token")
        if "Traceback" in text:
            yield Violation(Law.LEAKED, f"{whose} has a traceback")


def _kept_time(evidence: Evidence) -> Iterator[Violation]:
    for what in evidence.failed:
        yield Violation(Law.FAILED, what)


def _is(task: str | None, errand: str) -> bool:
    """Whether it is the same errand, however it was typed."""
    return task is not None and " ".join(task.split()).casefold() == " ".join(errand.split()).casefold()
