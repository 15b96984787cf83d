"""The user of a task, who answers the agent's questions by the replies in the task's file."""

import re
from collections.abc import Iterator

from kallyai_mcp.evals.record import GivenReply
from kallyai_mcp.evals.task_files import Reply, Task

_ANY_QUESTION = r"\?\W*$"
"""The agent's message ends with a question."""


class User:
    """The user; `given` are the replies so far, each once."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.given: list[GivenReply] = []

    def reply_to(self, answer: str, last_result: str | None, calls: int) -> str | None:
        """What the user replies to a message of the agent; None: the conversation is over.

        `last_result` is the text of the last tool's result, None if no tool was used; `calls` is
        how many calls there are by now, placed or scheduled.
        """
        if "?" not in answer:
            return None
        for reply in self._replies(last_result):
            if re.search(reply.when, answer, re.IGNORECASE):
                self.given.append(GivenReply(id=reply.id, says=reply.says, calls_before=calls))
                return reply.says
        return None

    def _replies(self, last_result: str | None) -> Iterator[Reply]:
        """The replies that the user has left, those to certain questions first."""
        given = {reply.id for reply in self.given}
        yield from (reply for reply in self._task.reply if reply.id not in given)
        waits_for_answer = last_result is None or "confirmation" in last_result
        if self._task.otherwise and waits_for_answer and "" not in given:
            yield Reply(id="", when=_ANY_QUESTION, says=self._task.otherwise)
