"""How a call ended: status, highlights, next steps, and what was booked."""

from dataclasses import replace
from typing import Final

from kallyai_mcp.sandbox.simulator.call_context import CallContext
from kallyai_mcp.sandbox.simulator.caller import Caller
from kallyai_mcp.sandbox.simulator.scenario import Does
from kallyai_mcp.sandbox.simulator.simulated_call import Booking, Ending, Slot

NO_ANSWER_SECONDS: Final = 30.0

_NOT_REACHED: Final[dict[Does, tuple[str, float, str]]] = {
    "is_busy": ("busy", 4.0, "next.again"),
    "does_not_answer": ("no_answer", NO_ANSWER_SECONDS, "next.again"),
    "is_played": ("no_answer", NO_ANSWER_SECONDS, "next.again"),  # unless somebody picks up
    "is_canceled": ("cancelled", 9.0, "next.cancelled"),
}
"""The status, the seconds, and the next steps of calls that nobody answers."""

_BROKEN: Final[dict[Does, str]] = {"drops_the_line": "failed", "is_terminated": "terminated"}


def incomplete(context: CallContext, greeting: str) -> Ending | None:
    """Simulate a call that reaches nobody or is interrupted; None if the scenario is a whole conversation."""
    request, spoken, written, dialogue = context.request, context.spoken, context.written, context.dialogue
    does = context.scenario.does
    if does in _NOT_REACHED:
        status, seconds, next_step = _NOT_REACHED[does]
        dialogue.hold(seconds)
        return Ending(status, written.say(f"done.{status}"), written.say(next_step))
    if does in _BROKEN:
        dialogue.say("HUMAN", greeting)
        dialogue.say("AI", *context.opening(), *context.first_question())
        dialogue.say("HUMAN", spoken.say("broken"))
        return Ending(_BROKEN[does], written.say(f"done.{_BROKEN[does]}"), written.say("next.again_soon"))
    if does == "goes_to_voicemail":
        dialogue.say("HUMAN", spoken.say("machine", callee=request.business or spoken.say("machine.callee")))
        dialogue.hold(1)
        questions = [spoken.say("question.next" if at else "question", question=each)
                     for at, each in enumerate(request.questions)]  # fmt: skip
        message = [*context.opening(), *questions, *context.to_note(), spoken.say("bye")]
        dialogue.say("AI", *message)
        done = written.say("done.voicemail", message=written.quote(" ".join(message)))
        phone = request.phone
        next_steps = written.say("next.callback", phone=phone) if phone else written.say("next.again")
        return Ending("voicemail", done, next_steps)
    return None


def ending_of(context: CallContext, caller: Caller) -> Ending:
    """Return how a conversation ended."""
    written, request = context.written, context.request
    if caller.result is None:
        return Ending("failed", written.say("done.hung_up"), written.say("next.again_soon"))
    ending = _booked(context, caller) if caller.result == "agreed" else _not_booked(context, caller)
    notes = [
        written.say("done.question", place=context.place(written), question=written.quote(question),
                    answer=written.quote(words))
        for question, words in caller.answers
    ]  # fmt: skip
    notes += [written.say("done.unanswered", question=written.quote(each)) for each in _unanswered(caller)]
    if caller.refused_offer is not None and caller.result != "agreed":
        notes.append(written.say("done.offered", offer=written.moment(caller.refused_offer)))
    elif caller.result == "declined" and request.kind == "booking":
        notes.append(written.say("done.no_offer"))
    if caller.has_told_details and (details := context.details(written)):
        notes.append(written.say("done.told", details=details))
    if caller.was_given_orders:
        notes.append(written.say("done.orders"))
    highlights = " ".join(part for part in (ending.highlights, *notes) if part)
    next_steps = ending.next_steps or written.say("next.answered", number=request.number)
    return Ending(ending.status, highlights, next_steps, ending.slot, ending.booking)


def _unanswered(caller: Caller) -> list[str]:
    return [*([caller.question] if caller.question is not None else []), *caller.unasked]


def _not_booked(context: CallContext, caller: Caller) -> Ending:
    written, request = context.written, context.request
    place, thing = context.place(written), context.thing(written)
    if caller.result == "needs_no_booking" and request.kind == "booking":
        walk_in = written.say("done.walk_in", place=place)
        return Ending("success", walk_in, written.say("next.walk_in", number=request.number))
    if caller.result != "declined" or request.kind == "task":
        answers = {words for _, words in caller.answers}
        if not caller.words or answers == {caller.words}:  # the questions, which follow, have all that was answered
            return Ending("success", "", "")
        return _answered(context, caller)
    if request.kind == "booking":
        key, when = ("", context.when(written, request.asked)) if request.asked is not None else (".undated", "")
        full = written.say(f"done.full{key}", thing=thing, place=place, when=when)
        return Ending("success", full, written.say("next.elsewhere"))
    if request.earlier is None:
        return Ending("success", written.say("done.no_booking", place=place), written.say("next.no_booking"))
    return Ending("success", context.about_earlier(written, "done.stays"), "")


def _answered(context: CallContext, caller: Caller) -> Ending:
    written = context.written
    description, answer = written.quote(context.request.description), written.quote(caller.words)
    place = context.place(written)
    return Ending("success", written.say("done.answered", place=place, description=description, answer=answer), "")


def _booked(context: CallContext, caller: Caller) -> Ending:
    """The ending of a call in which something was booked, moved, or canceled."""
    request, written, slot, earlier = context.request, context.written, caller.slot, context.request.earlier
    if request.kind == "cancel":
        if earlier is None:  # somebody who plays the callee has agreed
            return _answered(context, caller)
        canceled = replace(earlier, call_id=context.call_id, is_canceled=True)
        return Ending("success", context.about_earlier(written, "done.cancel"), "", booking=canceled)
    assert slot is not None  # noqa: S101 - the assistant agrees to nothing else without a day and time
    facts = {"thing": context.thing(written), "place": context.place(written), "under": context.under(written)}
    if request.kind == "move" and earlier is not None:
        old, new = written.moment(earlier.slot), context.new_time(written, slot)
        done = written.say("done.move", old=old, new=new, **facts)
        booking = replace(
            earlier, call_id=context.call_id, slot=slot, departs=context.departure(slot), party=request.party
        )
    else:
        verb = written.say(f"verb.{request.category}")
        done = written.say("done.booking", verb=verb, when=context.when(written, slot), **facts)
        call_id = context.call_id
        departs = context.departure(slot)
        booking = Booking(call_id, call_id, request.name, request.category, request.party, slot, departs)
    remarks = _remarks(context, slot)
    number = request.number
    if remarks:
        next_steps = written.say("next.check", moment=written.moment(slot), number=number)
    else:
        next_steps = written.say("next.change", number=number)
    return Ending("success", " ".join([done, *remarks]), next_steps, slot, booking)


def _remarks(context: CallContext, slot: Slot) -> list[str]:
    """Return sentences about a time that is not the one asked for."""
    written, asked = context.written, context.request.asked
    if slot == asked:
        return []
    if asked is not None and not (asked.at is None and slot.day == asked.day):
        taken = written.time(asked.at) if asked.at is not None and slot.day == asked.day else written.moment(asked)
        return [written.say("done.taken", asked=taken)]
    preference = context.request.preference
    said = [written.say("done.preference", preference=written.quote(preference))] if preference else []
    return [written.say("done.proposed"), *said]
