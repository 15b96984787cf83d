"""The record of a call that is asked for, and what is noted if a setting refuses it."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallRequest
from kallyai_mcp.calls.schedule import bounded
from kallyai_mcp.telemetry import count

_log = logging.getLogger(__name__)


def new_record(request: CallRequest, account: AccountKey, now: datetime) -> CallRecord:
    """The record of a call that is asked for now, before the ledger has it."""
    submission, zone, schedule = request.submission, request.timezone, request.schedule
    if schedule.not_before is not None:
        schedule = bounded(schedule, submission, zone, agreed_for=schedule.not_before)
    new = CallRecord.new(submission, account, now, zone, request.session_id, schedule)
    return replace(new, fingerprint=request.fingerprint)


@asynccontextmanager
async def refusals_noted(
    context: CallContext, new: CallRecord, consent: Consent
) -> AsyncIterator[None]:
    """A context in which a setting's refusal is written into the audit trail, logged, and
    counted.
    """
    try:
        yield
    except PolicyError as error:
        await context.ledger.write(
            new.account, rows.write_audit, new, consent, refused_by=error.setting
        )
        # Its number is only in the audit trail.
        _log.info("not called, because of %s", error.setting)
        count("kallyai.calls.refused", {"error.type": error.code})
        raise
