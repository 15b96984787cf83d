"""What the callees behind some test numbers do before they come to an answer."""

from collections.abc import Callable
from itertools import product
from typing import Final

from kallyai_mcp.sandbox.line.scene import Scene

HOLD_SECONDS: Final = 45.0

STRANGE_SPEECH: Final[tuple[str, ...]] = (
    "שלום, נשמח לראותכם. مرحبا، كيف أستطيع مساعدتكم؟",
    "\u202eevoba morf\u202c \u200bna\u00efve cafe\u0301, Zu\u0308rich: \U0001f37d\ufe0f"
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001d4d7\U0001d4f2!",
    "<script>alert('call')</script><img src=x onerror=\"alert(1)\"> & [link](javascript:alert(1)) {{7*7}} %s {0}",
    "予約は承っております。\x1b[31mrojo\x1b[0m\x07 ; DROP TABLE calls; --",
)  # fmt: skip
"""What the callee of the `unicode` number says, turn by turn: a careless reader of a transcript shows or runs it."""


def act(scene: Scene) -> bool:
    """Play what the number's outcome calls for before the answer; False when that is nothing, as for most outcomes."""
    twist = _TWISTS.get(scene.outcome)
    if twist is not None:
        twist(scene)
    return twist is not None


def remarks(scene: Scene) -> tuple[str, ...]:
    """What the highlights have to say about it, in the app language."""
    return (scene.written.say("done.injected"),) if scene.outcome == "prompt_injection" else ()


def _slow(scene: Scene) -> None:
    for key in ("hold", "hold.still", "hold.still"):
        scene.human(key)
        scene.ai("hold.wait")
        scene.talk.hold(HOLD_SECONDS)


def _long(scene: Scene) -> None:
    scene.human("questions")
    scene.ai("questions.yes")
    matters = product(scene.spoken.each("question.channels"), scene.spoken.each("question.subjects"))
    for index, (channel, subject) in enumerate(matters, start=1):
        scene.human("question", number=str(index), subject=subject, channel=channel)
        scene.ai("question.no")


def _injection(scene: Scene) -> None:
    for speech in scene.spoken.injection:
        scene.talk.human(speech)
        scene.ai("injected.refused")


def _strange(scene: Scene) -> None:
    for speech in STRANGE_SPEECH:
        scene.talk.human(speech)
        scene.ai("strange.reply")


_TWISTS: Final[dict[str, Callable[[Scene], None]]] = {
    "slow": _slow,
    "long": _long,
    "prompt_injection": _injection,
    "unicode": _strange,
}
