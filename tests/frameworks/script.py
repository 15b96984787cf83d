"""What the scripted model does in place of a real one: it asks for the call, follows it, and says what came of it."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

NUMBER = "+12025550110"
"""The sandbox's number that puts the assistant on hold again and again: a call that outlasts every wait here."""

_UNDER_WAY = re.compile("under way|in_progress")
_TRACKING_ID = re.compile(r"\bt-[0-9a-f-]{8,}")
_TURNS = 20


class ScriptError(Exception):
    """The script can't go on with what the framework handed its model."""


def errand(name: str) -> dict[str, Any]:
    """The arguments of `make_call` for a call to a place of this name."""
    return {
        "task_category": "general",
        "task_description": "Ask whether they are open tonight",
        "respondent_phone": NUMBER,
        "business_name": name,
    }


@dataclass
class Script:
    """A model's part in one run of an agent.

    Attributes:
        name: Of the place to ring.
        wait_seconds: What `make_call` is given.
        tools: The names of the tools that the framework offered to its model.
        answers: What the framework handed the model as the tools' answers, in words.
    """

    name: str
    wait_seconds: float
    tools: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    def turn(self, answers: Sequence[str], tools: Collection[str]) -> tuple[str, dict[str, Any]] | str:
        """The model's next turn.

        Args:
            answers: The tools' answers so far, the latest last.
            tools: The names of the tools that are on offer.

        Returns:
            A tool and its arguments, or the agent's last word.

        Raises:
            ScriptError: A call under way can't be followed, or never ends.
        """
        self.tools = sorted(tools)
        self.answers = list(answers)
        if not answers:
            return "make_call", errand(self.name) | {"wait_seconds": self.wait_seconds}
        if not _UNDER_WAY.search(answers[-1]):
            return answers[-1]
        found = _TRACKING_ID.search(answers[-1])
        if found is None or len(answers) > _TURNS:
            raise ScriptError(f"can't be followed: {answers[-1]}")
        return "get_call", {"call_id": found.group(), "wait_seconds": 45}
