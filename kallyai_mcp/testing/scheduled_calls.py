"""The calls that a server of the test places later."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from anyio.from_thread import start_blocking_portal

from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.clock import Clock
from kallyai_mcp.settings import Settings

_MOST_CALLS = 1000


@dataclass(frozen=True)
class ScheduledCall:
    """A call that is placed when it is `due`; `submission` is the reference's
    "SubmissionPayload".
    """

    number: str
    due: datetime
    submission: dict[str, Any]


def scheduled_calls(env: Mapping[str, str], clock: Clock) -> list[ScheduledCall]:
    """The calls in the ledger of a kallyai-mcp server with this environment that are not due yet;
    `clock` is the server's.

    It must not be called on a thread with an event loop that may not be blocked.
    """

    async def read() -> list[CallRecord]:
        async with Connection(Settings.from_env(env)) as connection:
            connection.clock = clock
            account = await connection.account_key()
            return await connection.ledger().read(rows.list_newest, account, _MOST_CALLS)

    with start_blocking_portal() as portal:
        records = portal.call(read)
    found = []
    for record in records:
        due = record.schedule.not_before
        if record.state is CallState.SCHEDULED and due is not None:
            asked = record.submission
            found.append(ScheduledCall(asked.respondent_phone, due, asked.as_json()))
    return found
