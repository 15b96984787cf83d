"""The calls that reach nobody, or break off."""

from collections.abc import Callable
from typing import Final

from kallyai_mcp.sandbox.line.scene import Ending, Scene

RINGING_SECONDS: Final = 30.0
BUSY_SECONDS: Final = 4.0
CANCELLED_SECONDS: Final = 9.0


def _unreached(status: str, seconds: float, next_step: str) -> Callable[[Scene], Ending]:
    def play(scene: Scene) -> Ending:
        scene.talk.hold(seconds)
        return Ending(status, scene.written.say(f"done.{status}"), scene.written.say(next_step))

    return play


def _voicemail(scene: Scene) -> Ending:
    request, spoken, written = scene.request, scene.spoken, scene.written
    scene.human("machine", callee=request.business or spoken.say("machine.callee"))
    scene.talk.hold(1)
    if request.phone:
        scene.state_request(spoken.say("message.callback", phone=request.phone), spoken.say("message.bye"))
        next_steps = written.say("next.callback", phone=request.phone)
    else:
        scene.state_request(spoken.say("message.bye"))
        next_steps = written.say("next.again")
    return Ending("voicemail", written.say("done.voicemail"), next_steps)


def _breaks_off(status: str) -> Callable[[Scene], Ending]:
    def play(scene: Scene) -> Ending:
        scene.greet()
        scene.state_request()
        scene.human("broken")
        return Ending(status, scene.written.say(f"done.{status}"), scene.written.say("next.again_soon"))

    return play


MISHAPS: Final[dict[str, Callable[[Scene], Ending]]] = {
    "busy": _unreached("busy", BUSY_SECONDS, "next.again"),
    "no_answer": _unreached("no_answer", RINGING_SECONDS, "next.again"),
    "cancelled": _unreached("cancelled", CANCELLED_SECONDS, "next.cancelled"),
    "voicemail": _voicemail,
    "failed": _breaks_off("failed"),
    "terminated": _breaks_off("terminated"),
}
"""By outcome."""
