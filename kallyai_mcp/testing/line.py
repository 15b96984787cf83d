"""A phone line of the sandbox, on which a test decides what happens."""

import re
from datetime import date, time
from typing import Any

from pydantic import ValidationError

from kallyai_mcp.sandbox.lines import Lines
from kallyai_mcp.sandbox.simulator.scenario import E164, LineScript, RefusalCode
from kallyai_mcp.sandbox.simulator.scenario_file import expected

__tracebackhide__ = True  # pytest shows an error at the line of the test that calls a method here

_KEPT = ("turns", "loses_the_answer", "seconds")
"""The settings of a call that stay when a test sets what the callee does."""


def check_number(number: str) -> str:
    """Return `number`, if it is in E.164; raise `ValueError` otherwise."""
    if not re.fullmatch(E164, str(number)):
        raise ValueError(f"{number!r} is not a number in E.164, such as '+12025550142'")
    return number


class Line:
    """One number. Each method sets what happens in calls to it, and returns the line, so that calls can be chained.

        line = kallyai_sandbox.line("+12025550142")
        line.books(at="20:30")
        line.is_busy().then.books()
        line.says("One moment, please.").declines()

    Until a test sets something, the callee agrees to the request. A value that is not possible (a number, a time, a
    day, a refusal, or any other) raises `ValueError`, with one line that says what is possible.

    `index` is the call to the line for which the methods set something, from 0.
    """

    def __init__(self, number: str, lines: Lines, *, index: int = 0) -> None:
        self.number = check_number(number)
        self._lines = lines
        self._index = index

    def books(
        self, *, at: str | time | None = None, on: str | date | None = None, ignores_instructions: bool = False
    ) -> "Line":
        """The callee agrees to the request.

        With `at` ("20:30") or `on` ("2026-11-27"), every other time or day is taken, and this one is offered instead.
        With `ignores_instructions`, KallyAI agrees to it even without `accept_other_time`, to test how the agent
        reports it; by default, nothing is booked then.
        """
        return self._set(does="agrees", at=at, on=on, ignores_instructions=ignores_instructions)

    def declines(self) -> "Line":
        """The callee declines: the call is a success, and nothing is booked."""
        return self._set(does="declines")

    def answers(self, answer: str) -> "Line":
        """The callee answers any request with these words, and nothing is booked."""
        return self._set(does="answers", answer=answer)

    def says(self, *turns: str) -> "Line":
        """The callee says these words, one turn each, before it answers the request."""
        return self._set(turns=(*self._calls()[self._index].get("turns", ()), *turns))

    def is_busy(self) -> "Line":
        """The line is busy."""
        return self._set(does="is_busy")

    def does_not_answer(self) -> "Line":
        """Nobody answers."""
        return self._set(does="does_not_answer")

    def goes_to_voicemail(self) -> "Line":
        """An answering machine takes the call."""
        return self._set(does="goes_to_voicemail")

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
        """The line, for the next call to it: methods before `.then` set one call only."""
        self._set_calls([*self._calls()[: self._index + 1], {}])
        return Line(self.number, self._lines, index=self._index + 1)

    def _calls(self) -> list[dict[str, Any]]:
        """What is set for the line, call by call."""
        script = self._lines.of(self.number).model_dump(exclude_unset=True, include=set(LineScript.model_fields))
        return [script, *script.pop("then", ())]

    def _set(self, **fields: Any) -> "Line":
        calls = self._calls()
        if "does" in fields:  # it replaces what was set for this call, and for those after it
            kept = {key: value for key, value in calls[self._index].items() if key in _KEPT}
            calls = [*calls[: self._index], kept]
        calls[self._index] |= fields
        return self._set_calls(calls)

    def _set_calls(self, calls: list[dict[str, Any]]) -> "Line":
        first, *others = calls
        try:
            script = LineScript.model_validate({**first, "then": others})
        except ValidationError as invalid:
            raise ValueError(f"{self.number}: {_problem(invalid)}") from None
        self._lines.set(self.number, script)
        return self


def _problem(invalid: ValidationError) -> str:
    error = invalid.errors(include_url=False)[0]
    names = [str(part) for part in error["loc"] if part not in ("then", "en", "es") and not isinstance(part, int)]
    value = f", not {error['input']!r}" if names else ""
    return f"{' '.join([*names, expected(error['type'], error['msg'])])}{value}"
