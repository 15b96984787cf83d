"""What the callees of some test numbers do before they answer the request."""

from collections.abc import Callable
from itertools import product
from typing import Final

from kallyai_mcp.sandbox.simulator.call_context import CallContext

HOLD_SECONDS: Final = 45.0

UNICODE_SPEECH: Final[tuple[str, ...]] = (
    "שלום, נשמח לראותכם. مرحبا، كيف أستطيع مساعدتكم؟",
    "\u202eevoba morf\u202c \u200bna\u00efve cafe\u0301, Zu\u0308rich: \U0001f37d\ufe0f"
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001d4d7\U0001d4f2!",
    "<script>alert('call')</script><img src=x onerror=\"alert(1)\"> & [link](javascript:alert(1)) {{7*7}} %s {0}",
    "予約は承っております。\x1b[31mrojo\x1b[0m\x07 ; DROP TABLE calls; --",
)  # fmt: skip
"""What the callee of the `unicode` number says, one item per turn, to test programs that show transcripts."""


def perform(context: CallContext) -> bool:
    """Add the turns of the test number's special behavior; False if it has none."""
    behavior = _BEHAVIORS.get(context.outcome)
    if behavior is not None:
        behavior(context)
    return behavior is not None


def describe(context: CallContext) -> tuple[str, ...]:
    """Return what the highlights say about the special behavior, in the app language."""
    return (context.written.say("done.injected"),) if context.outcome == "prompt_injection" else ()


def _slow(context: CallContext) -> None:
    for key in ("hold", "hold.still", "hold.still"):
        context.human(key)
        context.ai("hold.wait")
        context.dialogue.hold(HOLD_SECONDS)


def _long(context: CallContext) -> None:
    context.human("questions")
    context.ai("questions.yes")
    topics = product(context.spoken.each("question.channels"), context.spoken.each("question.subjects"))
    for index, (channel, subject) in enumerate(topics, start=1):
        context.human("question", number=str(index), subject=subject, channel=channel)
        context.ai("question.no")


def _injection(context: CallContext) -> None:
    for speech in context.spoken.injection:
        context.dialogue.human(speech)
        context.ai("injected.refused")


def _unicode(context: CallContext) -> None:
    for speech in UNICODE_SPEECH:
        context.dialogue.human(speech)
        context.ai("strange.reply")


_BEHAVIORS: Final[dict[str, Callable[[CallContext], None]]] = {
    "slow": _slow,
    "long": _long,
    "prompt_injection": _injection,
    "unicode": _unicode,
}
