"""The callee that a model plays: what it is told of itself, and what it says in one turn.

It knows and wants what the task's scenario says of its line, so that the same facts are expected at
the end. A line on which nobody would speak, such as a busy one, stays as its scenario says.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    Model,
)
from pydantic import ValidationError

from kallyai_mcp.evals.task_files import Task
from kallyai_mcp.sandbox.simulator.scenario import Line, LineScript, Turn

_PLAYABLE = {"agrees", "offers_another_time", "declines", "needs_no_booking", "answers"}
"""What a callee does in a conversation."""

_LANGUAGES = {"en": "English", "es": "Spanish"}

_MESSAGE_OF: Mapping[str, type[ChatMessageUser | ChatMessageAssistant]] = {
    "AI": ChatMessageUser,
    "HUMAN": ChatMessageAssistant,
}
"""What a speaker's words are to the model that plays the callee."""

_PROMPT = """\
You play a person who answers the phone. The caller is an AI that wants something for its user.
{persona}
What you know and want:
{facts}
You know nothing else; when you are asked, say that you can't tell. Speak as people do on the phone,
in {language}, one or two sentences at a time.

Answer with one JSON object and nothing else: {{"does": …, "says": …}}
"does" is the kind of what you say: speaks, holds, asks, orders, offers, agrees, declines,
needs_no_booking, answers, says_goodbye, or hangs_up (without "says").
"agrees" books what the caller asked for, or what you offered. With "offers" and "agrees", "at"
(HH:MM) and "on" (YYYY-MM-DD) can name a time or a day. When all is said, "says_goodbye"."""

_HANGS_UP = Turn(does="hangs_up")


def is_playable(line: Line) -> bool:
    """Whether a model can play the callee, so that all else in the line's scenario is a fact that
    it knows.
    """
    is_one_conversation = line.does in _PLAYABLE and not line.then
    has_fault = line.refusal is not None or line.loses_the_answer or line.ignores_instructions
    return is_one_conversation and not has_fault


def facts_of(line: LineScript, language: str) -> Iterator[str]:
    """What the callee of a line knows and wants, a sentence each; its own words in `language`."""
    for turn in line.turns:
        if turn.says is not None:
            yield f'Say this soon: "{turn.words(language)}"'
    if line.answer is not None:
        yield f'Your answer to what is asked: "{line.answer.in_language(language)}"'
        return
    match line.does:
        case "declines":
            yield "You decline what is asked: nothing is free, and nothing can be done."
        case "needs_no_booking":
            yield "You take no bookings; people just come."
        case "offers_another_time":
            yield "The time that is asked for is taken. Offer one an hour later."
        case _:
            yield from _free_time(line)


def _free_time(line: LineScript) -> Iterator[str]:
    if line.on is not None:
        yield f"Only {line.on} is free. Offer it, and agree to no other day."
    if line.at is not None:
        yield f"Only {line.at:%H:%M} is free. Offer it, and agree to no other time."
    if not line.names_slot:
        yield "You agree to what is asked."


@dataclass
class Callee:
    """The callees of a task, which a model plays; `tokens` are those that it has used."""

    task: Task
    model: Model
    tokens: int = 0

    async def turn(self, call: Mapping[str, Any]) -> Turn:
        """What the callee does next in a call of the play interface; it hangs up when the model's
        answer can't be read twice.
        """
        messages = [ChatMessageSystem(content=self._prompt(call)), *_said(call["said"])]
        for _ in range(2):
            output = await self.model.generate(messages)
            self.tokens += output.usage.total_tokens if output.usage is not None else 0
            try:
                return turn_in(output.completion)
            except ValueError as error:
                messages += [output.message, ChatMessageUser(content=f"That is not valid: {error}")]
        return _HANGS_UP

    def _prompt(self, call: Mapping[str, Any]) -> str:
        lines = {line.number: line for line in self.task.line}
        line = lines.get(call["number"], LineScript())
        return _PROMPT.format(
            persona=self.task.persona,
            facts="\n".join(f"- {fact}" for fact in facts_of(line, call["language"])),
            language=_LANGUAGES[call["language"]],
        )


def _said(entries: Sequence[Mapping[str, Any]]) -> list[ChatMessage]:
    """The conversation so far, in which the callee is the assistant, and the caller its user."""
    return [_MESSAGE_OF[entry["speaker"]](content=entry["content"]) for entry in entries]


def turn_in(answer: str) -> Turn:
    """The turn in a model's answer; raises `ValueError` if there is none."""
    found = re.search(r"\{.*\}", answer, re.DOTALL)
    if found is None:
        raise ValueError("there is no JSON object")
    content = json.loads(found[0])
    known = {key: value for key, value in content.items() if value not in (None, "")}
    try:
        return Turn.model_validate(known)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{first['loc']}: {first['msg']}") from None
