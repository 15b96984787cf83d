"""The tasks for Inspect AI, which finds them by the entry point of this package.

    inspect eval kallyai_mcp/errands --model openai/gpt-5

`-T phrasings=1` takes one phrasing of each task in place of three, `-T server=COMMAND` another
server, and `-T judge=true` has the model role `judge` judge each sentence. A solver of your own
finds the tools of its sample's server with `solvers.phone_tools`.
"""

from collections.abc import Sequence

import inspect_ai
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.solver import Solver

from kallyai_mcp.evals.runs import close_run
from kallyai_mcp.evals.scorers import judged, phone
from kallyai_mcp.evals.server_command import OURS
from kallyai_mcp.evals.solvers import conversation, sandbox
from kallyai_mcp.evals.task_files import PHRASINGS, Suite, Task, load_tasks

_MOST_TURNS = 40
"""Turns of the model in one sample before it is ended, with the state that it has by then."""


@inspect_ai.task(name="errands")
def ordinary_requests(
    phrasings: int = PHRASINGS, server: str = OURS, *, judge: bool = False
) -> inspect_ai.Task:
    """What a user asks for: book, ask, change, call around, call later."""
    return _evaluation("errands", phrasings, server, judge=judge)


@inspect_ai.task(name="traps")
def traps(
    phrasings: int = PHRASINGS, server: str = OURS, *, judge: bool = False
) -> inspect_ai.Task:
    """What may go wrong: orders of a callee, lost answers, wrong numbers, night, quota."""
    return _evaluation("traps", phrasings, server, judge=judge)


@inspect_ai.task(name="claims")
def claims(
    phrasings: int = PHRASINGS, server: str = OURS, *, judge: bool = False
) -> inspect_ai.Task:
    """What the user is told: each sentence against the record."""
    return _evaluation("claims", phrasings, server, judge=judge)


def _evaluation(suite: Suite, phrasings: int, server: str, *, judge: bool) -> inspect_ai.Task:
    samples = [
        Sample(
            id=f"{task.id}/{index + 1}",
            input=task.phrasings[index],
            metadata=metadata_of(task),
        )
        for task in load_tasks(suite)
        for index in range(phrasings)
    ]
    return evaluation(samples, conversation(), server, judge=judge)


def metadata_of(task: Task) -> dict[str, object]:
    """The metadata of a task's samples."""
    return {
        "task_id": task.id,
        "theme": task.theme,
        "task": task.model_dump(mode="json", exclude_defaults=True),
    }


def evaluation(
    samples: Sequence[Sample], solver: Solver, server: str = OURS, *, judge: bool = False
) -> inspect_ai.Task:
    """A task of Inspect with these samples; `server` is `ours`, or the command of another one."""
    return inspect_ai.Task(
        dataset=MemoryDataset(list(samples)),
        setup=sandbox(server),
        solver=solver,
        cleanup=close_run,
        scorer=[phone(), judged()] if judge else phone(),
        message_limit=4 * _MOST_TURNS,
        turn_limit=_MOST_TURNS,
        fail_on_error=False,
        metadata={"server": server},
    )
