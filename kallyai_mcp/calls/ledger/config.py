"""What a ledger goes by besides its rows: the call policy, the times, and what this process has told its clients."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from kallyai_mcp.calls.clock import Clock
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord
from kallyai_mcp.calls.timing import Timing


class Deliveries:
    """The outcomes that this process has delivered, and when by a clock that nobody sets."""

    def __init__(self, clock: Clock, timing: Timing) -> None:
        self._clock = clock
        self._timing = timing
        self._known: dict[tuple[AccountKey, str], tuple[str, float, float]] = {}
        """By account and fingerprint: the tracking id, and when its outcome was delivered first and last."""

    def note(self, records: Iterable[CallRecord]) -> None:
        """Note that the outcomes of these calls were delivered now."""
        now, longest = self._clock.continuous(), max(self._timing.repeat_after, self._timing.repeat_after_delivery)
        for record in records:
            tracking_id, first, _ = self._known.pop((record.account, record.fingerprint), ("", now, now))
            first = first if tracking_id == record.tracking_id else now
            self._known[record.account, record.fingerprint] = record.tracking_id, first, now
        while self._known and now - next(iter(self._known.values()))[2] > longest:  # they are in the order of that time
            del self._known[next(iter(self._known))]

    def find(self, asked: CallRecord) -> tuple[str, bool, bool]:
        """The call that was told last for the fingerprint of `asked`, whatever the wall clock says.

        Returns its tracking id, whether that was a short time ago, and whether it was so for a call that reached
        somebody.
        """
        tracking_id, first, last = self._known.get((asked.account, asked.fingerprint), ("", -inf, -inf))
        now = self._clock.continuous()
        return tracking_id, now - last < self._timing.repeat_after_delivery, now - first < self._timing.repeat_after


@dataclass(frozen=True)
class Config:
    """See the module."""

    policy: CallPolicy
    timing: Timing
    deliveries: Deliveries
