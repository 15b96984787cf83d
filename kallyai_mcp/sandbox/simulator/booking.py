"""The conversation that books a table, an appointment, or a room."""

from kallyai_mcp.sandbox.simulator import callee_behaviors
from kallyai_mcp.sandbox.simulator.call_context import CallContext, Ending
from kallyai_mcp.sandbox.simulator.submission import TaskCategory
from kallyai_mcp.sandbox.simulator.time_slots import Slot, alternative, proposed


def book(context: CallContext) -> Ending:
    """Simulate a booking: agreed, agreed at another time, declined, or no booking needed."""
    context.greet()
    context.state_request()
    lead = _answer_questions(context)
    if callee_behaviors.perform(context):
        lead = context.spoken.say("looked")
    if context.scenario.does == "declines":
        return _declined(context)
    if context.scenario.does == "needs_no_booking":
        return _walk_in(context)
    offer = context.offer()
    if offer is not None and context.request.keeps_time and not context.scenario.ignores_instructions:
        return _declined(context, offer=offer)
    slot, remark = _settle(context, lead, offer)
    return _close(context, slot, remark)


def _answer_questions(context: CallContext) -> str:
    """Add the turns in which the callee asks for details and the assistant reads out what it was given.

    Returns:
        The callee's reaction, which begins its next turn; empty if the assistant had nothing to add.
    """
    request, book_ = context.request, context.spoken
    description = book_.quote(request.description)
    if request.missing:
        context.human(f"ask.{request.missing}")
        context.ai("only.given", description=description)
    context.human(f"check.{request.category}")
    notes = []
    if not request.missing:
        notes.append(book_.say("notes.request", description=description))
    if request.extras:
        notes.append(book_.say("notes.extras", extras=book_.quotes(request.extras)))
    context.dialogue.ai(*(notes or [book_.say("notes.none")]))
    context.dialogue.hold(3)
    return book_.say("noted") if notes else ""


def _settle(context: CallContext, lead: str, offer: Slot | None) -> tuple[Slot | None, str]:
    """Add the turns that agree on a time, a name, and a phone number.

    Returns:
        The agreed time (None: as in the request's own words), and a remark about it for the highlights.
    """
    request, spoken, written = context.request, context.spoken, context.written
    if offer is not None:
        return _agree_on_another_time(context, offer)
    if request.day is None:
        _name_and_phone(context, lead, spoken.say("free.undated"))
        return None, ""
    if request.at is not None or request.category is TaskCategory.HOTEL:
        _name_and_phone(context, lead, spoken.say("free.dated"))
        return Slot(request.day, request.at), ""
    slot = proposed(request, request.day, context.now)
    if slot.day != request.day or slot.at is None:
        return _agree_on_another_time(context, alternative(request, context.now))
    context.dialogue.human(lead, spoken.say("propose", time=spoken.spoken_time(slot.at)))
    context.ai("propose.yes", time=spoken.spoken_time(slot.at))
    _name_and_phone(context)
    return slot, written.say("done.proposed")


def _agree_on_another_time(context: CallContext, slot: Slot) -> tuple[Slot, str]:
    request, spoken, written = context.request, context.spoken, context.written
    if request.day is None:
        offer = context.moment(spoken, slot)
        context.human("taken.undated", offer=offer)
        remark = written.say("done.taken_undated", description=written.quote(request.description))
    elif request.at is not None and slot.at is not None and slot.day == request.day:
        offer = spoken.spoken_time(slot.at)
        context.human("taken", asked=spoken.spoken_time(request.at), offer=offer)
        remark = written.say("done.taken", asked=written.spoken_time(request.at))
    else:
        asked = Slot(request.day, request.at)
        offer = context.moment(spoken, slot)
        context.human("taken", asked=context.moment(spoken, asked), offer=offer)
        remark = written.say("done.taken", asked=context.moment(written, asked))
    context.ai("taken.yes", offer=offer)
    _name_and_phone(context)
    return slot, remark


def _name_and_phone(context: CallContext, *lead: str) -> None:
    request = context.request
    context.dialogue.human(*lead, context.spoken.say("ask.name"))
    if not request.name:
        context.ai(*(["name.phone"] if request.phone else ["name.line"]), phone=request.phone or "")
        return
    context.ai("name.given", name=request.name)
    context.human("ask.phone")
    if request.phone:
        context.ai("phone.given", phone=request.phone)
    else:
        context.ai("phone.none")


def _close(context: CallContext, slot: Slot | None, remark: str) -> Ending:
    """Add the turns in which the callee repeats what was agreed and both say goodbye; the highlights say the same."""
    request, spoken, written = context.request, context.spoken, context.written
    agreed = {"verb": written.say(f"verb.{request.category}"), "thing": context.thing(written),
              "place": context.place(written), "under": context.under(written)}  # fmt: skip
    if slot is None:
        context.human(
            "readback.undated", thing=context.thing(spoken), description=spoken.quote(request.description),
            under=context.under(spoken),
        )  # fmt: skip
        done = written.say("done.undated", description=written.quote(request.description), **agreed)
    else:
        context.human(
            "readback.dated", thing=context.thing(spoken), when=context.when(spoken, slot), under=context.under(spoken)
        )
        done = written.say("done.dated", when=context.when(written, slot), **agreed)
    context.ai("confirm")
    context.human(f"bye.{request.category}")
    context.ai("bye")

    passed_on = written.say("done.passed_on", extras=written.quotes(request.extras)) if request.extras else ""
    highlights = _join(done, remark, passed_on, *callee_behaviors.describe(context))
    if slot is None:
        return Ending("success", highlights, written.say("next.settle", number=request.number))
    if remark:
        next_steps = written.say("next.check", moment=context.moment(written, slot), number=request.number)
    else:
        next_steps = written.say("next.change", number=request.number)
    return Ending("success", highlights, next_steps, context.event(slot, highlights))


def _declined(context: CallContext, *, offer: Slot | None = None) -> Ending:
    """Add the turns in which the callee has no room, or only at another time, and nothing is booked."""
    request, spoken, written = context.request, context.spoken, context.written
    if offer is not None and request.day is not None:
        asked = context.moment(spoken, Slot(request.day, request.at))
        context.human("taken", asked=asked, offer=context.moment(spoken, offer))
    else:
        context.human("full.undated" if request.day is None else "full.dated")
    context.ai("full.understood")
    context.human("bye")
    if request.day is None:
        highlights = written.say(
            "done.full_undated", thing=context.thing(written), place=context.place(written),
            description=written.quote(request.description),
        )  # fmt: skip
    else:
        when = context.when(written, Slot(request.day, request.at))
        highlights = written.say("done.full", thing=context.thing(written), place=context.place(written), when=when)
    return Ending("success", highlights, written.say("next.elsewhere"))


def _walk_in(context: CallContext) -> Ending:
    written = context.written
    context.human("walk_in")
    context.ai("walk_in.understood")
    context.human("confirm")
    context.ai("bye")
    highlights = written.say("done.walk_in", place=context.place(written))
    return Ending("success", highlights, written.say("next.walk_in", number=context.request.number))


def _join(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
