"""The conversation of the assistant with a user who is played by the task."""

import re

from tests.evals.bench import Bench
from tests.evals.graders import GivenReply, Run
from tests.evals.task import Reply, Task

USER = "Ada"

SYSTEM = f"""\
You are the assistant of {USER}. You can have phone calls placed with the tools that you have.
It is Monday, January 26, 2026, 10:00 AM in New York (America/New_York), where {USER} is.
{USER} reads your last message only. Say what came of the task, in a few sentences, in {USER}'s language."""


class Conversation:
    """What the user and the assistant say to each other.

    Args:
        task: The task.
        phrasing: Which of its phrasings the user uses, from 0.
        bench: What the task is done with.
        instructions: What the server tells its clients about itself.
    """

    def __init__(self, task: Task, phrasing: int, bench: Bench, instructions: str) -> None:
        self._task = task
        self._bench = bench
        self.system = f"{SYSTEM}\n{instructions}".strip()
        self.request = task.phrasings[phrasing]
        self._answers: list[str] = []
        self._given: list[GivenReply] = []

    async def reply_to(self, answer: str) -> str | None:
        """What the user replies to an answer; None: the conversation is over."""
        self._answers.append(answer)
        if "?" not in answer:
            return None
        calls = len(self._bench.sandbox.calls) + len(await self._bench.scheduled())
        replies = [*self._task.reply]
        used_tools = self._bench.used
        if self._task.otherwise and (not used_tools or "confirmation" in used_tools[-1].text):
            replies.append(Reply(id="", when=r"\?\W*$", says=self._task.otherwise))
        used = {each.reply.id for each in self._given}
        reply = next((each for each in replies if each.id not in used and _fits(each, answer)), None)
        if reply is None:
            return None
        self._given.append(GivenReply(reply, calls))
        return reply.says

    async def run(self) -> Run:
        """What happened."""
        return Run(
            asked=(self.system, self.request),
            placed=tuple(self._bench.sandbox.calls),
            scheduled=tuple(await self._bench.scheduled()),
            refused=self._bench.refused,
            used=tuple(self._bench.used),
            replies=tuple(self._given),
            answers=tuple(self._answers),
        )


def _fits(reply: Reply, answer: str) -> bool:
    return re.search(reply.when, answer, re.IGNORECASE) is not None
