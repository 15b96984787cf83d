"""The scores of a sample, for Inspect."""

import math

from inspect_ai.model import get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from kallyai_mcp.evals.grading import grade, sentences_of
from kallyai_mcp.evals.judge import JudgeError, judge
from kallyai_mcp.evals.runs import record_of, task_of, tokens_of


@scorer(metrics={"*": [mean(), stderr(cluster="task_id")]})
def phone() -> Scorer:
    """The scores of `Grades`, and the tokens that the agent used.

    The explanation says what is wrong.
    """

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001 - Inspect passes it by its name
        grades = grade(task_of(state).expect, await record_of(state))
        return Score(
            value={**grades.scores, "tokens": tokens_of(state)},
            explanation=grades.in_words or None,
        )

    return score


@scorer(metrics={"*": [mean(), stderr(cluster="task_id")]})
def judged() -> Scorer:
    """How many sentences are untrue and unsupported by the verdicts of the model role `judge`.

    Without a readable answer of the judge, the sample has no such score.
    """

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001 - Inspect passes it by its name
        record = await record_of(state)
        sentences = sentences_of(record)
        try:
            verdicts = await judge(get_model(role="judge", required=True), record, sentences)
        except JudgeError as error:
            nothing = {"judged_untrue": math.nan, "judged_unsupported": math.nan}
            return Score(value=nothing, explanation=str(error))
        lines = [
            f"{verdict}: {sentence}" for verdict, sentence in zip(verdicts, sentences, strict=True)
        ]
        return Score(
            value={
                "judged_untrue": verdicts.count("untrue"),
                "judged_unsupported": verdicts.count("unsupported"),
            },
            explanation="\n".join(lines) or None,
        )

    return score
