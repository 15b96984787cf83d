"""How much is known of how a call ended, and whether another answer of KallyAI says more."""

from dataclasses import dataclass
from enum import Enum

from kallyai_mcp.api.models import Call


class Detail(Enum):
    """What KallyAI may tell later than how a call ended, the weightier first."""

    HIGHLIGHTS = "the highlights"
    CALENDAR = "the calendar file, if KallyAI was asked for it"
    TRANSCRIPT = "the transcript"


_AWAITED = frozenset({Detail.HIGHLIGHTS, Detail.CALENDAR})
"""The details without which KallyAI is asked once more."""

_WEIGHTS = {None: 0, False: 1, True: 2}
"""How much it says of a call whether it reached somebody: nothing, that it did not, that it did."""


@dataclass(frozen=True)
class KnownEnd:
    """What is known of how a call ended.

    Attributes:
        status: Its `Call.plain_status`.
        reached: As in `CallRecord`.
        details: The details that were read.
    """

    status: str
    reached: bool | None
    details: frozenset[Detail]

    @property
    def has_final_status(self) -> bool:
        """Whether KallyAI has named a status after which no other one follows."""
        return self.status in Call.FINAL

    @property
    def is_whole(self) -> bool:
        """Whether KallyAI has no more to say: somebody talked, and each awaited detail is known."""
        return self.has_final_status and bool(self.reached) and self.details >= _AWAITED

    def says_more_than(self, known: "KnownEnd") -> bool:
        """Whether this is news for somebody who has the `known` end.

        The first final status counts, unless a later one comes with what was not known of whether
        somebody talked. Details are news only with the same status.
        """
        if not known.has_final_status:
            return True
        if not self.has_final_status:
            return False
        if self.reached is not known.reached:
            return _WEIGHTS[self.reached] > _WEIGHTS[known.reached]
        return self.status == known.status and self._has_weightier_details(known)

    def _has_weightier_details(self, known: "KnownEnd") -> bool:
        """Whether the weightiest detail that only one of the two ends has is in this one."""
        for detail in Detail:
            has_it = detail in self.details
            if has_it is not (detail in known.details):
                return has_it
        return False
