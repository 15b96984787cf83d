"""The oracle of what results tell of planned calls."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from kallyai_mcp.calls.numbers import for_people
from tests.faults.simulation.judging import Rule, Violation
from tests.faults.simulation.ledgers import Row
from tests.faults.simulation.run import Evidence, Use

_TELL = ("make_call", "call_around", "get_call")
"""The tools whose results tell of planned calls."""

_WRITTEN = timedelta(seconds=5)
"""How long after its end a call is in the ledger as over."""


def find_untold(evidence: Evidence) -> Iterator[Violation]:
    """How a planned call ended is told once: by its own result, or with the next one.

    Only where nothing fails: what may not have arrived is told again.
    """
    if not _is_undisturbed(evidence):
        return
    calls_to = Counter(row["number"] for row in evidence.rows)
    for row in evidence.rows:
        is_planned = row["not_before"] is not None and row["plan_id"] is None
        if not is_planned or row["ended_at"] is None or calls_to[row["number"]] > 1:
            continue
        times = sum(_is_news_of(use, row) for use in evidence.uses)
        if times > 1:
            yield Violation(Rule.TOLD, f"{row['tracking_id']} was told {times} times")
        elif not times and _must_be_told(row, evidence):
            yield Violation(Rule.TOLD, f"{row['tracking_id']} was never told")


def _is_undisturbed(evidence: Evidence) -> bool:
    """Whether each answer of the one process is read."""
    plan = evidence.plan
    is_read = all(ask.reads and ask.gives_up is None for ask in plan.asks)
    return plan.is_faultless and is_read and len(plan.starts) == 1 and not plan.starts[0].ahead


def _is_news_of(use: Use, row: Row) -> bool:
    if use.answer is None:
        return False
    return for_people(row["number"]) in use.answer.data.get("since_then", "")


def _must_be_told(row: Row, evidence: Evidence) -> bool:
    """Whether a result came after its end, and none was about the call itself."""
    over = datetime.fromtimestamp(row["ended_at"], UTC)
    after = [
        use for use in evidence.uses if use.answered_at is not None and use.answered_at >= over
    ]
    if row["state"] == "canceled" or any(_is_about(use, row) for use in after):
        return False
    return any(
        use.tool in _TELL and use.is_outcome and use.asked_at > over + _WRITTEN for use in after
    )


def _is_about(use: Use, row: Row) -> bool:
    """Whether an answer is the result of the call itself."""
    if use.answer is None:
        return False
    ids = {row["tracking_id"], row["call_id"]}
    return bool(ids & {use.answer.data.get("call_id"), use.answer.data.get("tracking_id")})
