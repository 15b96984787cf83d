"""Reads from the audit trail of kallyai-mcp how the user agreed to each call."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.output import run
from kallyai_mcp.settings import Settings

_MOST_CALLS = 10_000

GIVEN = frozenset({"form", "confirmation"})
"""The kinds of consent in which the user themselves agreed (`calls.policy.ConsentKind`)."""


def consents_of(env: Mapping[str, str]) -> dict[str, str]:
    """Return how consent was given to each call, by its Idempotency-Key.

    Args:
        env: The settings of the server that placed the calls.

    Raises:
        click.ClickException: The ledger can't be read.
    """

    async def read() -> dict[str, str]:
        async with Connection(Settings.from_env(env)) as connection:
            account, found = await connection.account_key(), {}
            for entry in await connection.ledger().audit(account, _MOST_CALLS):
                if entry.tracking_id is None:
                    continue
                if (record := await connection.ledger().find(account, entry.tracking_id)) is not None:
                    found[record.idempotency_key] = entry.how or "none is recorded"
        return found

    with ThreadPoolExecutor(1) as thread:  # in this thread, the test may have an event loop of its own
        return thread.submit(run, read).result()
