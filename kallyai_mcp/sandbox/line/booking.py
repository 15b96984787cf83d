"""The conversation that books a table, an appointment or a room."""

from kallyai_mcp.sandbox.line import twists
from kallyai_mcp.sandbox.line.scene import Ending, Scene
from kallyai_mcp.sandbox.line.slots import Slot, alternative, proposed
from kallyai_mcp.sandbox.line.submission import TaskCategory


def book(scene: Scene) -> Ending:
    """Play a booking to its end: agreed, agreed at another time, declined, or found to need no booking."""
    scene.greet()
    scene.state_request()
    lead = _answer_questions(scene)
    if twists.act(scene):
        lead = scene.spoken.say("looked")
    if scene.outcome == "fully_booked":
        return _declined(scene)
    if scene.outcome == "no_event":
        return _walk_in(scene)
    slot, remark = _settle(scene, lead)
    return _close(scene, slot, remark)


def _answer_questions(scene: Scene) -> str:
    """The callee asks for what is missing and for anything else; the assistant reads out what it was given.

    Returns what the callee says to it, before the answer: nothing, if there was nothing to note.
    """
    request, book_ = scene.request, scene.spoken
    description = book_.quote(request.description)
    if request.missing:
        scene.human(f"ask.{request.missing}")
        scene.ai("only.given", description=description)
    scene.human(f"check.{request.category}")
    notes = []
    if not request.missing:
        notes.append(book_.say("notes.request", description=description))
    if request.extras:
        notes.append(book_.say("notes.extras", extras=book_.quotes(request.extras)))
    scene.talk.ai(*(notes or [book_.say("notes.none")]))
    scene.talk.hold(3)
    return book_.say("noted") if notes else ""


def _settle(scene: Scene, lead: str) -> tuple[Slot | None, str]:
    """Agree on a time, and on a name and a number.

    Returns the time (None: as the request words it) and what the highlights say about how it came.
    """
    request, spoken, written = scene.request, scene.spoken, scene.written
    if scene.outcome == "counter_offer":
        return _settle_for_another(scene)
    if request.day is None:
        _name_and_phone(scene, lead, spoken.say("free.undated"))
        return None, ""
    if request.at is not None or request.category is TaskCategory.HOTEL:
        _name_and_phone(scene, lead, spoken.say("free.dated"))
        return Slot(request.day, request.at), ""
    slot = proposed(request, request.day, scene.now)
    if slot.day != request.day or slot.at is None:
        return _settle_for_another(scene)
    scene.talk.human(lead, spoken.say("propose", time=spoken.spoken_time(slot.at)))
    scene.ai("propose.yes", time=spoken.spoken_time(slot.at))
    _name_and_phone(scene)
    return slot, written.say("done.proposed")


def _settle_for_another(scene: Scene) -> tuple[Slot, str]:
    request, spoken, written = scene.request, scene.spoken, scene.written
    slot = alternative(request, scene.now)
    if request.day is None:
        offer = scene.moment(spoken, slot)
        scene.human("taken.undated", offer=offer)
        remark = written.say("done.taken_undated", description=written.quote(request.description))
    elif request.at is not None and slot.at is not None and slot.day == request.day:
        offer = spoken.spoken_time(slot.at)
        scene.human("taken", asked=spoken.spoken_time(request.at), offer=offer)
        remark = written.say("done.taken", asked=written.spoken_time(request.at))
    else:
        asked = Slot(request.day, request.at)
        offer = scene.moment(spoken, slot)
        scene.human("taken", asked=scene.moment(spoken, asked), offer=offer)
        remark = written.say("done.taken", asked=scene.moment(written, asked))
    scene.ai("taken.yes", offer=offer)
    _name_and_phone(scene)
    return slot, remark


def _name_and_phone(scene: Scene, *lead: str) -> None:
    request = scene.request
    scene.talk.human(*lead, scene.spoken.say("ask.name"))
    if not request.name:
        scene.ai(*(["name.phone"] if request.phone else ["name.line"]), phone=request.phone or "")
        return
    scene.ai("name.given", name=request.name)
    scene.human("ask.phone")
    if request.phone:
        scene.ai("phone.given", phone=request.phone)
    else:
        scene.ai("phone.none")


def _close(scene: Scene, slot: Slot | None, remark: str) -> Ending:
    """The callee reads it back, both say goodbye; the summary says what was read back."""
    request, spoken, written = scene.request, scene.spoken, scene.written
    agreed = {"verb": written.say(f"verb.{request.category}"), "thing": scene.thing(written),
              "place": scene.place(written), "under": scene.under(written)}  # fmt: skip
    if slot is None:
        scene.human(
            "readback.undated", thing=scene.thing(spoken), description=spoken.quote(request.description),
            under=scene.under(spoken),
        )  # fmt: skip
        done = written.say("done.undated", description=written.quote(request.description), **agreed)
    else:
        scene.human(
            "readback.dated", thing=scene.thing(spoken), when=scene.when(spoken, slot), under=scene.under(spoken)
        )
        done = written.say("done.dated", when=scene.when(written, slot), **agreed)
    scene.ai("confirm")
    scene.human(f"bye.{request.category}")
    scene.ai("bye")

    passed_on = written.say("done.passed_on", extras=written.quotes(request.extras)) if request.extras else ""
    highlights = _join(done, remark, passed_on, *twists.remarks(scene))
    if slot is None:
        return Ending("success", highlights, written.say("next.settle", number=request.number))
    if remark:
        next_steps = written.say("next.check", moment=scene.moment(written, slot), number=request.number)
    else:
        next_steps = written.say("next.change", number=request.number)
    return Ending("success", highlights, next_steps, scene.event(slot, highlights))


def _declined(scene: Scene) -> Ending:
    request, written = scene.request, scene.written
    scene.human("full.undated" if request.day is None else "full.dated")
    scene.ai("full.understood")
    scene.human("bye")
    if request.day is None:
        highlights = written.say(
            "done.full_undated", thing=scene.thing(written), place=scene.place(written),
            description=written.quote(request.description),
        )  # fmt: skip
    else:
        when = scene.when(written, Slot(request.day, request.at))
        highlights = written.say("done.full", thing=scene.thing(written), place=scene.place(written), when=when)
    return Ending("success", highlights, written.say("next.elsewhere"))


def _walk_in(scene: Scene) -> Ending:
    written = scene.written
    scene.human("walk_in")
    scene.ai("walk_in.understood")
    scene.human("confirm")
    scene.ai("bye")
    highlights = written.say("done.walk_in", place=scene.place(written))
    return Ending("success", highlights, written.say("next.walk_in", number=scene.request.number))


def _join(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
