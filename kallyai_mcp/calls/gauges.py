"""Keeps the gauges of calls, for an operator's metrics."""

from collections.abc import Mapping

from kallyai_mcp import telemetry
from kallyai_mcp.calls.context import CallContext, logged

_GAUGE = "kallyai.ledger.calls"

SECONDS = 15.0
"""The pause between two queries: less than the interval at which most programs export metrics."""


async def keep_gauges(context: CallContext) -> None:
    """Start the counters, and count the calls in the ledger once in `SECONDS`, if somebody takes
    the metrics.

    While the ledger can't be read, the gauges have no value.
    """
    if not telemetry.is_taken():
        return
    telemetry.start_counters()
    try:
        while True:
            await context.clock.sleep(SECONDS)
            counted: Mapping[str, int] = {}
            with logged("counting calls"):
                counted = await _count(context)
            telemetry.set_gauge(_GAUGE, counted)
    finally:
        telemetry.set_gauge(_GAUGE, {})


async def _count(context: CallContext) -> Mapping[str, int]:
    # Imported late: few servers have somebody who takes their metrics.
    from kallyai_mcp.calls.census import census
    from kallyai_mcp.calls.ledger.census import count_groups

    if context.ledger.database.version() is None:  # a read would create the file
        return {}
    found = census(await context.ledger.read(count_groups))
    return {state.value: number for state, number in found.items()}
