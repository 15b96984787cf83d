"""A scripted run: the turns of a gold or a bad run instead of those of a model."""

import re
from collections.abc import Sequence
from typing import Any

from tests.evals.task import Step

_IDS = {
    "confirmation": re.compile(r'confirmation "([^"]+)"'),
    "tracking_id": re.compile(r"\b(t-[0-9a-f-]{8,})"),
    "call_id": re.compile(r"\b([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b"),
}
_PLACEHOLDER = re.compile(r"\{(confirmation|tracking_id|call_id)\}")


class ScriptError(Exception):
    """The script can't continue: no result has an id that it needs, or it has ended."""


class Script:
    """The turns of one run.

    Args:
        steps: The turns.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = list(steps)

    @property
    def is_over(self) -> bool:
        """Whether all turns were taken."""
        return not self._steps

    def turn(self, results: Sequence[str]) -> Step:
        """The next turn.

        Args:
            results: What the tools have answered so far, the newest last.

        Raises:
            ScriptError: There is none, or none of the results has an id that it needs.
        """
        if not self._steps:
            raise ScriptError("the script has ended, and the conversation goes on")
        step = self._steps.pop(0)
        return step.model_copy(update={"args": _filled(step.args, results)})


def _filled(value: Any, results: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, results) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(each, results) for each in value]
    return _PLACEHOLDER.sub(lambda match: _newest(match[1], results), value) if isinstance(value, str) else value


def _newest(name: str, results: Sequence[str]) -> str:
    for result in reversed(results):
        if found := _IDS[name].findall(result):
            return str(found[-1])
    raise ScriptError(f"no result has a {name}: {list(results)}")
