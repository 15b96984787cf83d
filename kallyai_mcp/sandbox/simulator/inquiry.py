"""The conversation about a question or a task that books nothing."""

from datetime import time

from kallyai_mcp.sandbox.simulator import callee_behaviors
from kallyai_mcp.sandbox.simulator.call_context import CallContext, Ending
from kallyai_mcp.sandbox.simulator.phrasebook import Phrasebook, number
from kallyai_mcp.sandbox.simulator.time_slots import alternative


def run(context: CallContext) -> Ending:
    """Simulate an inquiry. The assistant repeats the callee's answer, and the highlights contain it."""
    request, spoken, written = context.request, context.spoken, context.written
    context.greet()
    context.state_request()
    if request.name:
        context.human("inquiry.ask_phone")
        phone = spoken.say("phone.given", phone=request.phone) if request.phone else spoken.say("phone.none")
        context.dialogue.ai(phone)
    else:
        context.human("inquiry.who")
        phone = spoken.say("inquiry.phone", phone=request.phone) if request.phone else ""
        context.dialogue.ai(spoken.say("inquiry.no_name"), phone)
    context.human("inquiry.check")
    if request.extras:
        context.ai("notes.extras", extras=spoken.quotes(request.extras))
    else:
        context.ai("notes.none")
    context.dialogue.hold(3)
    callee_behaviors.perform(context)
    answer = _answer(context, spoken)
    context.dialogue.human(answer)
    context.ai("inquiry.understood", answer=answer)
    context.human("inquiry.right")
    context.ai("inquiry.thanks")
    context.human(f"bye.{request.category}")
    context.ai("bye")

    highlights = [
        written.say(
            "done.answer", place=context.place(written), description=written.quote(request.description),
            answer=_answer(context, written),
        )
    ]  # fmt: skip
    if request.extras:
        highlights.append(written.say("done.passed_on", extras=written.quotes(request.extras)))
    highlights.extend(callee_behaviors.describe(context))
    if context.scenario.does == "declines":
        next_steps = written.say("next.refused")
    else:
        next_steps = written.say("next.answered", number=request.number)
    return Ending("success", " ".join(highlights), next_steps)


def _answer(context: CallContext, book: Phrasebook) -> str:
    """Return the callee's answer in the language of `book`; its facts depend on the request only."""
    if context.scenario.answer is not None:
        return context.scenario.answer.in_language(book.language)
    if context.scenario.does == "declines":
        return book.say("answer.no")
    if context.scenario.does == "needs_no_booking":
        return book.say("answer.walk_in")
    if context.scenario.does == "offers_another_time":
        return book.say("answer.other", offer=context.moment(book, alternative(context.request, context.now)))
    facts = {}
    seed = context.request.description
    if context.request.topic == "hours":
        opens = time(8 + number(seed, "opens") % 3)
        facts = {"opens": book.spoken_time(opens), "closes": book.spoken_time(_closes(seed))}
    elif context.request.topic in {"ready", "stock"}:
        facts = {"closes": book.spoken_time(_closes(seed))}
    elif context.request.topic == "price":
        facts = {"price": book.money(20 + number(seed, "price") % 60)}
    return book.say(f"answer.{context.request.topic}", **facts)


def _closes(seed: str) -> time:
    return time(18 + number(seed, "closes") % 4)
