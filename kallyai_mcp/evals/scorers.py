"""The scores of a sample, for Inspect."""

from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from kallyai_mcp.evals.grading import grade
from kallyai_mcp.evals.runs import record_of, task_of


@scorer(metrics={"*": [mean(), stderr(cluster="task_id")]})
def phone() -> Scorer:
    """The scores of `Grades`, and the tokens that the agent used.

    The explanation says what is wrong.
    """

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001 - Inspect passes it by its name
        grades = grade(task_of(state).expect, await record_of(state))
        return Score(
            value={**grades.scores, "tokens": state.token_usage},
            explanation=grades.in_words or None,
        )

    return score
