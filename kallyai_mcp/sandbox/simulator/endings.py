"""How a call ended: status, highlights, next steps, and what was booked."""

from dataclasses import replace
from itertools import chain, repeat
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
    """Simulate a call that reaches nobody or is interrupted; None if the scenario is a whole
    conversation.
    """
    does = context.scenario.does
    written = context.written
    if does in _NOT_REACHED:
        status, seconds, next_step = _NOT_REACHED[does]
        context.dialogue.hold(seconds)
        return Ending(status, written.say(f"done.{status}"), written.say(next_step))
    if does in _BROKEN:
        status = _BROKEN[does]
        context.dialogue.say("HUMAN", greeting)
        context.dialogue.say("AI", *context.opening(), *context.first_question())
        context.dialogue.say("HUMAN", context.spoken.say("broken"))
        return Ending(status, written.say(f"done.{status}"), written.say("next.again_soon"))
    if does == "goes_to_voicemail":
        return _voicemail(context)
    return None


def _voicemail(context: CallContext) -> Ending:
    """The ending of a call with a message: everything that the assistant would have said."""
    request = context.request
    spoken = context.spoken
    written = context.written
    callee = request.business or spoken.say("machine.callee")
    context.dialogue.say("HUMAN", spoken.say("machine", callee=callee))
    context.dialogue.hold(1)
    keys = chain(["question"], repeat("question.next"))
    questions = [
        spoken.say(key, question=each) for key, each in zip(keys, request.questions, strict=False)
    ]
    message = [*context.opening(), *questions, *context.to_note(), spoken.say("bye")]
    context.dialogue.say("AI", *message)
    done = written.say("done.voicemail", message=written.quote(" ".join(message)))
    if request.phone:
        return Ending("voicemail", done, written.say("next.callback", phone=request.phone))
    return Ending("voicemail", done, written.say("next.again"))


def ending_of(context: CallContext, caller: Caller) -> Ending:
    """Return how a conversation ended."""
    written = context.written
    if caller.result is None:
        return Ending("failed", written.say("done.hung_up"), written.say("next.again_soon"))
    ending = _booked(context, caller) if caller.result == "agreed" else _not_booked(context, caller)
    notes = [*_questions(context, caller), *_offer(context, caller), *_passed_on(context, caller)]
    highlights = " ".join(filter(None, [ending.highlights, *notes]))
    next_steps = ending.next_steps or written.say("next.answered", number=context.request.number)
    return replace(ending, highlights=highlights, next_steps=next_steps)


def _questions(context: CallContext, caller: Caller) -> list[str]:
    """Return a sentence for each question: the callee's answer, or that there is none."""
    written = context.written
    place = context.place(written)
    answered = [
        written.say(
            "done.question",
            place=place,
            question=written.quote(question),
            answer=written.quote(words),
        )
        for question, words in caller.answers
    ]
    open_ones = map(written.quote, caller.unanswered)
    return [
        *answered,
        *(written.say("done.unanswered", question=question) for question in open_ones),
    ]


def _offer(context: CallContext, caller: Caller) -> list[str]:
    """Return what the callee offered in place of the time asked for, if nothing was agreed."""
    written = context.written
    if caller.refused_offer is not None and caller.result != "agreed":
        return [written.say("done.offered", offer=written.moment(caller.refused_offer))]
    if caller.result == "declined" and context.request.kind == "booking":
        return [written.say("done.no_offer")]
    return []


def _passed_on(context: CallContext, caller: Caller) -> list[str]:
    """Return what the callee was told, and that it gave orders."""
    written = context.written
    sentences = []
    details = context.details(written)
    if details and caller.has_told_details:
        sentences.append(written.say("done.told", details=details))
    if caller.was_given_orders:
        sentences.append(written.say("done.orders"))
    return sentences


def _not_booked(context: CallContext, caller: Caller) -> Ending:
    written = context.written
    request = context.request
    place = context.place(written)
    if caller.result == "needs_no_booking" and request.kind == "booking":
        walk_in = written.say("done.walk_in", place=place)
        return Ending("success", walk_in, written.say("next.walk_in", number=request.number))
    if caller.result != "declined" or request.kind == "task":
        return _answered(context, caller)
    if request.kind == "booking":
        return Ending(
            "success", context.about_new(written, "done.full"), written.say("next.elsewhere")
        )
    if request.earlier is None:
        return Ending(
            "success", written.say("done.no_booking", place=place), written.say("next.no_booking")
        )
    return Ending("success", context.about_earlier(written, "done.stays"), "")


def _answered(context: CallContext, caller: Caller) -> Ending:
    """The ending of a call that booked nothing: the answer, unless the questions have it."""
    answers = {words for _, words in caller.answers}
    if not caller.words or answers == {caller.words}:
        return Ending("success", "", "")
    return _talked(context, caller)


def _talked(context: CallContext, caller: Caller) -> Ending:
    written = context.written
    description = written.quote(context.request.description)
    answer = written.quote(caller.words)
    place = context.place(written)
    return Ending(
        "success",
        written.say("done.answered", place=place, description=description, answer=answer),
        "",
    )


def _booked(context: CallContext, caller: Caller) -> Ending:
    """The ending of a call in which something was booked, moved, or canceled."""
    if context.request.kind == "cancel":
        return _canceled(context, caller)
    slot = caller.slot
    assert slot is not None  # noqa: S101 - the assistant agrees to nothing else without a day and time
    written = context.written
    number = context.request.number
    remarks = _remarks(context, slot)
    next_steps = written.say("next.change", number=number)
    if remarks:
        next_steps = written.say("next.check", moment=written.moment(slot), number=number)
    done, booking = _made(context, slot)
    return Ending("success", " ".join([done, *remarks]), next_steps, slot, booking)


def _canceled(context: CallContext, caller: Caller) -> Ending:
    earlier = context.request.earlier
    if earlier is None:  # somebody who plays the callee has agreed
        return _talked(context, caller)
    canceled = replace(earlier, call_id=context.call_id, is_canceled=True)
    return Ending(
        "success", context.about_earlier(context.written, "done.cancel"), "", booking=canceled
    )


def _made(context: CallContext, slot: Slot) -> tuple[str, Booking]:
    """The booking that was made or moved, in words, and as the callee keeps it."""
    request = context.request
    written = context.written
    earlier = request.earlier
    call_id = context.call_id
    departs = context.departure(slot)
    facts = {
        "thing": context.thing(written),
        "place": context.place(written),
        "under": context.under(written),
    }
    if request.kind == "move" and earlier is not None:
        old = written.moment(earlier.slot)
        done = written.say("done.move", old=old, new=context.new_time(written, slot), **facts)
        return done, replace(
            earlier, call_id=call_id, slot=slot, departs=departs, party=request.party
        )
    verb = written.say(f"verb.{request.category}")
    done = written.say("done.booking", verb=verb, when=context.when(written, slot), **facts)
    return done, Booking(
        call_id, call_id, request.name, request.category, request.party, slot, departs
    )


def _remarks(context: CallContext, slot: Slot) -> list[str]:
    """Return sentences about a time that is not the one asked for."""
    asked = context.request.asked
    if slot == asked:
        return []
    only_its_day = Slot(slot.day, None)
    if asked is None or asked == only_its_day:
        return _proposed(context)
    taken = context.written.moment_beside(asked, slot)
    return [context.written.say("done.taken", asked=taken)]


def _proposed(context: CallContext) -> list[str]:
    written = context.written
    sentences = [written.say("done.proposed")]
    preference = context.request.preference
    if preference:
        sentences.append(written.say("done.preference", preference=written.quote(preference)))
    return sentences
