"""What happened while an agent did a task: all that the scores are computed from."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from kallyai_mcp.testing import PlacedCall
from kallyai_mcp.testing.scheduled_calls import ScheduledCall


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class RecordedCall(_Frozen):
    """A call that was placed.

    `words` are what both sides said in it, each with its speaker: `AI: …` or `HUMAN: …`.
    """

    number: str
    submission: dict[str, Any]
    status: str
    is_booked: bool
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, call: PlacedCall) -> "RecordedCall":
        """The call as the sandbox has it."""
        return cls(
            number=call.number,
            submission=call.submission,
            status=call.status,
            is_booked=call.calendar is not None,
            words=tuple(f"{speaker}: {words}" for speaker, words in call.transcript),
        )


class ToolUse(_Frozen):
    """A tool that the agent used, and the text that it got."""

    tool: str
    text: str


class GivenReply(_Frozen):
    """A reply of the user, and how many calls there were before it, placed or scheduled."""

    id: str
    says: str
    calls_before: int


class Record(_Frozen):
    """One run of a task.

    `asked` is what the agent was told first. `answers` are its messages to the user; the last one
    is its final answer. `refused` counts the requests for calls that KallyAI refused.
    """

    asked: tuple[str, ...]
    placed: tuple[RecordedCall, ...] = ()
    scheduled: tuple[ScheduledCall, ...] = ()
    refused: int = 0
    used: tuple[ToolUse, ...] = ()
    replies: tuple[GivenReply, ...] = ()
    answers: tuple[str, ...] = ()

    @property
    def final(self) -> str:
        """The final answer; empty if there is none."""
        return next(reversed(self.answers), "")

    @property
    def sources(self) -> list[str]:
        """All that the agent could know: the user's words, the tools' results, and what was said on
        the phone.
        """
        return [
            *self.asked,
            *(reply.says for reply in self.replies),
            *(use.text for use in self.used),
            *(words for call in self.placed for words in call.words),
        ]

    def with_final(self, answer: str) -> "Record":
        """The same run with another final answer."""
        return self.model_copy(update={"answers": (*self.answers[:-1], answer)})
