"""How a conversation ended: status, highlights, next steps, and what was booked."""

from dataclasses import replace

from kallyai_mcp.sandbox.simulator.agreement import Agreement
from kallyai_mcp.sandbox.simulator.call_context import CallContext
from kallyai_mcp.sandbox.simulator.callee import Callee
from kallyai_mcp.sandbox.simulator.caller import Caller
from kallyai_mcp.sandbox.simulator.simulated_call import Ending
from kallyai_mcp.sandbox.simulator.time_slots import Slot


def ending_of(context: CallContext, caller: Caller, callee: Callee | None) -> Ending:
    """Return how the conversation ended.

    Args:
        context: The call.
        caller: The assistant, after the last turn.
        callee: The scenario's callee, which also says its answers in the app language; None for a person, whose words
            are quoted.
    """
    written, request = context.written, context.request
    if caller.result is None:
        return Ending("failed", written.say("done.hung_up"), written.say("next.again_soon"))
    if caller.result == "answered" or request.kind != "booking":
        ending = _task(context, caller, callee)
    elif caller.result == "agreed":
        ending = _booked(context, caller)
    elif caller.result == "declined":
        ending = _declined(context, caller)
    else:
        highlights = written.say("done.walk_in", place=context.place(written))
        ending = Ending("success", highlights, written.say("next.walk_in", number=request.number))
    return _with_notes(context, caller, callee, ending)


def _with_notes(context: CallContext, caller: Caller, callee: Callee | None, ending: Ending) -> Ending:
    written, request = context.written, context.request
    notes = []
    for question, words in caller.answers.items():
        answer = callee.answer_to_question(written, question) if callee is not None else written.quote(words)
        notes.append(written.say("done.also", question=written.quote(question), answer=answer))
    if request.extras and caller.told_extras:
        notes.append(written.say("done.passed_on", extras=written.quotes(request.extras)))
    if caller.was_given_orders:
        notes.append(written.say("done.injected"))
    if not notes:
        return ending
    highlights = " ".join([ending.highlights, *notes])
    event = ending.event
    if event is not None:
        event = replace(event, description=event.description.replace(ending.highlights, highlights, 1))
    return replace(ending, highlights=highlights, event=event)


def _booked(context: CallContext, caller: Caller) -> Ending:
    request, written, slot = context.request, context.written, caller.slot
    assert slot is not None  # noqa: S101 - the callee that agrees to a booking names the day, or the assistant does
    agreed = {"verb": written.say(f"verb.{request.category}"), "thing": context.thing(written),
              "place": context.place(written), "under": context.under(written)}  # fmt: skip
    highlights = " ".join(
        part
        for part in (written.say("done.dated", when=context.when(written, slot), **agreed), _remark(context, slot))
        if part
    )
    return _with_event(context, slot, highlights)


def _with_event(context: CallContext, slot: Slot, highlights: str) -> Ending:
    request, written = context.request, context.written
    if _remark(context, slot):
        next_steps = written.say("next.check", moment=context.moment(written, slot), number=request.number)
    else:
        next_steps = written.say("next.change", number=request.number)
    return Ending("success", highlights, next_steps, context.event(slot, highlights), _agreement(context, slot, None))


def _agreement(context: CallContext, slot: Slot, known: Agreement | None) -> Agreement:
    """What the callee remembers: a new booking, or a known one at another time."""
    if known is not None:
        return replace(known, call_id=context.call_id, day=slot.day, at=slot.at)
    request = context.request
    return Agreement(context.call_id, request.name, str(request.category), request.party, slot.day, slot.at)


def _remark(context: CallContext, slot: Slot) -> str:
    """Return the sentence of the highlights about a time that differs from the requested one; "" if it does not."""
    written, asked = context.written, context.asked
    if slot == asked:
        return ""
    if asked is None or (asked.at is None and slot.day == asked.day):
        return written.say("done.proposed")
    if asked.at is not None and slot.day == asked.day:
        return written.say("done.taken", asked=written.spoken_time(asked.at))
    return written.say("done.taken", asked=context.moment(written, asked))


def _declined(context: CallContext, caller: Caller) -> Ending:
    request, written, thing = context.request, context.written, context.thing(context.written)
    if context.asked is None:
        description = written.quote(request.description)
        highlights = written.say(
            "done.full_undated", thing=thing, place=context.place(written), description=description
        )
    else:
        when = context.when(written, context.asked)
        highlights = written.say("done.full", thing=thing, place=context.place(written), when=when)
    return Ending("success", highlights + _offered(context, caller), written.say("next.elsewhere"))


def _offered(context: CallContext, caller: Caller) -> str:
    """Return the sentence about an offer that the assistant did not accept, after a space; "" if there is none."""
    if caller.refused_offer is None:
        return ""
    return " " + context.written.say("done.offered", offer=context.moment(context.written, caller.refused_offer))


def _task(context: CallContext, caller: Caller, callee: Callee | None) -> Ending:
    """The ending of a question, of a cancellation, of a change, of an order, or of anything else that books nothing."""
    request, written = context.request, context.written
    answer = callee.answer_to_request(written) if callee is not None else written.quote(caller.answer or "")
    only_asked = request.only_asks and request.kind == "booking"
    key = "only_asked" if only_asked else "answer" if caller.result == "answered" else request.kind
    was_done = caller.result == "agreed"
    highlights = written.say(
        f"done.{key}" if was_done or key in ("answer", "only_asked", "question", "task") else f"done.{key}.no",
        place=context.place(written), description=written.quote(request.description), answer=answer,
    ) + _offered(context, caller)  # fmt: skip
    if caller.result == "declined":
        return Ending("success", highlights, written.say("next.refused"))
    known, slot = context.known, caller.slot
    ending = Ending("success", highlights, written.say("next.answered", number=request.number))
    if not was_done or request.kind not in ("cancel", "change"):
        return ending
    if request.kind == "cancel":
        return replace(ending, ends=known)
    if slot is None:
        return ending
    ending = _with_event(context, slot, highlights)
    return replace(ending, ends=known, agreement=_agreement(context, slot, known))
