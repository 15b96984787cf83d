"""A phone line of the sandbox: a test says what happens on it."""

from datetime import date, time
from typing import Any

from kallyai_mcp.sandbox.lines import Lines
from kallyai_mcp.sandbox.simulator.scenario import LineScript, RefusalCode, Scenario

_KEPT = ("turns", "loses_the_answer", "seconds")
"""What stays when a test says what the callee does."""


class Line:
    """One number. Each method says what happens in calls to it, and returns the line, so that they can be joined.

        line = kallyai_sandbox.line("+12025550142")
        line.books(at="20:30")
        line.is_busy().then.books()
        line.says("One moment, please.").declines()

    Until a test says something, the callee agrees to what is asked. A time, a day, a refusal, or any other value that
    does not exist raises `pydantic.ValidationError`.

    Args:
        number: The number, in E.164.
        lines: The sandbox's lines.
        calls: What happens, call by call; the methods change the last one. None begins with the first call.
    """

    def __init__(self, number: str, lines: Lines, *, calls: list[dict[str, Any]] | None = None) -> None:
        self.number = number
        self._lines = lines
        first = lines.of(number).model_dump(exclude_unset=True, include=set(Scenario.model_fields))
        self._calls = [first] if calls is None else calls
        self._index = len(self._calls) - 1

    def books(
        self, *, at: str | time | None = None, on: str | date | None = None, ignores_instructions: bool = False
    ) -> "Line":
        """The callee agrees to what is asked.

        Args:
            at: The time that is free, such as "20:30"; every other time is taken, and this one is offered instead.
            on: The day that is free, such as "2026-11-27"; in the same way.
            ignores_instructions: KallyAI agrees to the other time although it was told not to (by `accept_other_time`),
                to see what the agent makes of it. Otherwise nothing is booked then.
        """
        return self._does("agrees", at=at, on=on, ignores_instructions=ignores_instructions)

    def declines(self) -> "Line":
        """The callee declines: the call is a success, and nothing is booked."""
        return self._does("declines")

    def answers(self, answer: str) -> "Line":
        """The callee answers any request with these words, and nothing is booked."""
        return self._does("answers", answer=answer)

    def says(self, *turns: str) -> "Line":
        """The callee says these words, one turn each, before it answers the request."""
        return self._set(turns=(*self._calls[self._index].get("turns", ()), *turns))

    def is_busy(self) -> "Line":
        """The line is busy."""
        return self._does("is_busy")

    def does_not_answer(self) -> "Line":
        """Nobody answers."""
        return self._does("does_not_answer")

    def goes_to_voicemail(self) -> "Line":
        """An answering machine takes the call."""
        return self._does("goes_to_voicemail")

    def refuses(self, code: RefusalCode) -> "Line":
        """KallyAI refuses the call with this error code of the reference, and nobody is called."""
        return self._set(refusal=code)

    def loses_the_answer(self) -> "Line":
        """The call is placed, and the connection is cut before the client gets the answer."""
        return self._set(loses_the_answer=True)

    def takes(self, seconds: float) -> "Line":
        """The call lasts this many seconds by the clock."""
        return self._set(seconds=seconds)

    @property
    def then(self) -> "Line":
        """What happens in the next call; what was said before is for one call only."""
        del self._calls[self._index + 1 :]
        self._calls.append({})
        return Line(self.number, self._lines, calls=self._calls)

    def _does(self, does: str, **more: Any) -> "Line":
        kept = {key: value for key, value in self._calls[self._index].items() if key in _KEPT}
        return self._replace({**kept, "does": does, **more})

    def _set(self, **fields: Any) -> "Line":
        return self._replace({**self._calls[self._index], **fields})

    def _replace(self, call: dict[str, Any]) -> "Line":
        Scenario.model_validate(call)
        self._calls[self._index] = call
        first, *others = self._calls
        self._lines.set(self.number, LineScript.model_validate({**first, "then": others}))
        return self
