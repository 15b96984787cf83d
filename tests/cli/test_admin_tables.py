"""The tables of `kallyai-mcp admin`, without a ledger."""

from datetime import UTC, datetime

import pytest

from kallyai_mcp.calls.operator import AuditEntry, KnownCall
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.cli.admin_tables import shown_audit
from tests.calls.ledgers import ACCOUNT

AT = datetime(2026, 1, 25, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("decision", "state", "outcome", "shown"),
    [
        ("placed", "ended", Outcome.ANSWERED, "answered"),
        ("scheduled", "scheduled", None, "scheduled"),
        ("scheduled", "reserved", None, "scheduled, then in progress"),
        ("scheduled", "ended", Outcome.ANSWERED, "scheduled, then answered"),
        ("scheduled", "canceled", None, "scheduled, then canceled"),
    ],
)
def test_a_line_of_a_scheduled_call_says_so(
    decision: str, state: str, outcome: Outcome | None, shown: str
) -> None:
    call = KnownCall(
        tracking_id="t-1",
        call_id=None,
        account=ACCOUNT,
        number="+12025550100",
        state=state,
        asked_at=AT,
        due_at=None,
        outcome=outcome,
    )
    entry = AuditEntry(
        at=AT,
        account=ACCOUNT,
        number="+12025550100",
        decision=decision,
        asked_by=None,
        how=None,
        risk_flags=(),
        tracking_id="t-1",
        call=call,
    )

    assert str(shown_audit([entry], "a ledger", 2).text).split("\t")[3] == shown
