"""A scripted model: it takes the turns of a run in a task's file, without asking anybody."""

from collections.abc import Sequence

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Model,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolChoice, ToolInfo

from kallyai_mcp.evals.runs import uses_in
from kallyai_mcp.evals.solvers import converse
from kallyai_mcp.evals.steps import filled
from kallyai_mcp.evals.task_files import Step, steps_in

MODEL = "mockllm/model"


@solver
def scripted() -> Solver:
    """Does the sample's task by the steps in its metadata."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:  # noqa: ARG001 - Inspect passes it by its name
        return await converse(state, scripted_model(steps_in(state.metadata["steps"])))

    return solve


def scripted_model(steps: Sequence[Step], *, begins: int = 0) -> Model:
    """A model that takes these turns; `begins` of its turns are in the conversation before."""

    def turn(
        messages: list[ChatMessage], _: list[ToolInfo], __: ToolChoice, ___: GenerateConfig
    ) -> ModelOutput:
        taken = sum(isinstance(message, ChatMessageAssistant) for message in messages)
        output = _output(steps[taken - begins], messages)
        # Without it, the mock model asks the network how many tokens it was.
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output

    return get_model(MODEL, custom_outputs=turn, memoize=False)


def _output(step: Step, messages: Sequence[ChatMessage]) -> ModelOutput:
    if step.tool is None:
        return ModelOutput.from_content(MODEL, step.words)
    results = [use.text for use in uses_in(messages)]
    return ModelOutput.for_tool_call(MODEL, step.tool, filled(step.args, results))
