"""Asks KallyAI about the last call that reached nobody, before a request places it again."""

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.calls.findings import UNCLEAR, look
from kallyai_mcp.calls.records import CallRecord


class EarlierCalls:
    """The looks of one request at earlier calls: at most `Timing.look_first` seconds in all.

    Attributes:
        looked_at: The tracking id of the record that was looked at last; None before.
    """

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._seconds = context.timing.look_first  # that are left
        self.looked_at: str | None = None

    async def look_at(self, record: CallRecord) -> None:
        """Ask KallyAI whether a call reached somebody after all, and write down what it says.

        Raises:
            KallyAIError: KallyAI did not say (code `earlier_call_unclear`).
            LedgerUnavailableError: What it said can't be written.
        """
        clock = self._context.clock
        seen = UNCLEAR
        began = clock.monotonic()
        with clock.move_on_after(self._seconds):
            seen = await look(record, self._context)
        self._seconds -= clock.monotonic() - began
        if not seen.is_all:
            words = "KallyAI did not say whether the same call reached somebody after all."
            code = "earlier_call_unclear"
            raise KallyAIError(words, code=code, retry_after=seen.retry_after)
        self.looked_at = record.tracking_id
