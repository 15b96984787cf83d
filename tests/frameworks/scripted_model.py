"""The script of the model: it asks for a call, follows it, and returns the last answer."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

NUMBER = "+12025550110"
"""The sandbox's number that keeps the assistant on hold: the call is longer than every wait here."""

_IN_PROGRESS = re.compile("In progress|in_progress")
_TRACKING_ID = re.compile(r"\bt-[0-9a-f-]{8,}")
_TURNS = 20


class ScriptError(Exception):
    """The script can't continue with the answer that the framework gave to its model."""


def call_arguments(name: str) -> dict[str, Any]:
    """The arguments of `make_call` for a call to a business with this name."""
    return {
        "task_category": "general",
        "task_description": "Ask whether they are open tonight",
        "respondent_phone": NUMBER,
        "business_name": name,
    }


@dataclass
class Script:
    """The model of one run of an agent, which calls the business `name`; keeps what the framework gave to it."""

    name: str
    wait_seconds: float
    tools: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    def turn(self, answers: Sequence[str], tools: Collection[str]) -> tuple[str, dict[str, Any]] | str:
        """The model's next turn after these answers of tools: a tool and its arguments, or the final answer.

        Raises `ScriptError` if the answer has no tracking id, or the call does not end.
        """
        self.tools = sorted(tools)
        self.answers = list(answers)
        if not answers:
            return "make_call", call_arguments(self.name) | {"wait_seconds": self.wait_seconds}
        if not _IN_PROGRESS.search(answers[-1]):
            return answers[-1]
        found = _TRACKING_ID.search(answers[-1])
        if found is None or len(answers) > _TURNS:
            raise ScriptError(f"can't follow the call: {answers[-1]}")
        return "get_call", {"call_id": found.group(), "wait_seconds": 45}
