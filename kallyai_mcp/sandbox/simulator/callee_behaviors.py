"""What a callee says before it answers the request, as the scenario's `turns` say."""

from kallyai_mcp.sandbox.simulator.call_context import CallContext

_REPLIES = {
    "speaks": "strange.reply",
    "holds": "hold.wait",
    "asks": "question.no",
    "orders": "injected.refused",
}
"""The assistant's reply to each kind of turn."""


def perform(context: CallContext) -> bool:
    """Add the scenario's turns and the assistant's replies; False if there are none."""
    for turn in context.scenario.turns:
        context.dialogue.human(turn.says.in_language(context.spoken.language))
        context.ai(_REPLIES[turn.does])
        context.dialogue.hold(turn.seconds)
    return bool(context.scenario.turns)


def describe(context: CallContext) -> tuple[str, ...]:
    """Return what the highlights say about the turns, in the app language."""
    orders = any(turn.does == "orders" for turn in context.scenario.turns)
    return (context.written.say("done.injected"),) if orders else ()
