"""The calls that reach nobody, or that are interrupted."""

from collections.abc import Callable
from typing import Final

from kallyai_mcp.sandbox.simulator.call_context import CallContext
from kallyai_mcp.sandbox.simulator.simulated_call import Ending

NO_ANSWER_SECONDS: Final = 30.0
BUSY_SECONDS: Final = 4.0
CANCELLED_SECONDS: Final = 9.0


def _not_reached(status: str, seconds: float, next_step: str) -> Callable[[CallContext], Ending]:
    def simulate(context: CallContext) -> Ending:
        context.dialogue.hold(seconds)
        return Ending(status, context.written.say(f"done.{status}"), context.written.say(next_step))

    return simulate


def _voicemail(context: CallContext) -> Ending:
    request, spoken, written = context.request, context.spoken, context.written
    context.dialogue.human(
        context.callee_spoken.say("machine", callee=request.business or spoken.say("machine.callee"))
    )
    context.dialogue.hold(1)
    if request.leaves_no_message:
        return Ending("voicemail", written.say("done.no_message"), written.say("next.again"))
    callback = [spoken.say("message.callback", phone=request.shared_phone)] if request.shared_phone else []
    context.dialogue.ai(*context.opening(), *callback, spoken.say("message.bye"))
    if request.shared_phone:
        next_steps = written.say("next.callback", phone=request.shared_phone)
    else:
        next_steps = written.say("next.again")
    return Ending("voicemail", written.say("done.voicemail"), next_steps)


def _interrupted(status: str) -> Callable[[CallContext], Ending]:
    def simulate(context: CallContext) -> Ending:
        context.dialogue.human(context.greeting())
        context.dialogue.ai(*context.opening())
        context.dialogue.human(context.callee_spoken.say("broken"))
        return Ending(status, context.written.say(f"done.{status}"), context.written.say("next.again_soon"))

    return simulate


INCOMPLETE_CALLS: Final[dict[str, Callable[[CallContext], Ending]]] = {
    "is_busy": _not_reached("busy", BUSY_SECONDS, "next.again"),
    "does_not_answer": _not_reached("no_answer", NO_ANSWER_SECONDS, "next.again"),
    "is_played": _not_reached("no_answer", NO_ANSWER_SECONDS, "next.again"),  # unless somebody picks up
    "is_canceled": _not_reached("cancelled", CANCELLED_SECONDS, "next.cancelled"),
    "goes_to_voicemail": _voicemail,
    "drops_the_line": _interrupted("failed"),
    "is_terminated": _interrupted("terminated"),
}
"""The function that simulates the call, by what the scenario does."""
