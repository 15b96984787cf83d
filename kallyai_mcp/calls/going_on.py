"""Asks KallyAI how far a call is that another process runs."""

from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.context import CallContext, logged
from kallyai_mcp.calls.records import CallRecord


async def read_while_going_on(record: CallRecord, context: CallContext) -> Call | None:
    """The call of a record that is active, as KallyAI reports it now.

    None if its id is not known, or KallyAI can't be asked: nothing is raised, because a result is
    the same without it. KallyAI's list is not asked.
    """
    if record.call_id is None or not record.is_active:
        return None
    with (
        logged("asking how far a call is"),
        context.clock.move_on_after(context.timing.calendar),
    ):
        async with context.api_of(record.account) as api:
            return await api.get_call(record.call_id)
    return None  # type: ignore[unreachable]  # after an error, which mypy does not see
