"""The conversation that asks a question or hands over a task, with no appointment at the end."""

from datetime import time

from kallyai_mcp.sandbox.line import twists
from kallyai_mcp.sandbox.line.phrasebook import Phrasebook, number
from kallyai_mcp.sandbox.line.scene import Ending, Scene
from kallyai_mcp.sandbox.line.slots import alternative


def run(scene: Scene) -> Ending:
    """Play an errand to its end: what the callee answers is read back and is what the summary says."""
    request, spoken, written = scene.request, scene.spoken, scene.written
    scene.greet()
    scene.state_request()
    if request.name:
        scene.human("errand.ask_phone")
        phone = spoken.say("phone.given", phone=request.phone) if request.phone else spoken.say("phone.none")
        scene.talk.ai(phone)
    else:
        scene.human("errand.who")
        phone = spoken.say("errand.phone", phone=request.phone) if request.phone else ""
        scene.talk.ai(spoken.say("errand.no_name"), phone)
    scene.human("errand.check")
    if request.extras:
        scene.ai("notes.extras", extras=spoken.quotes(request.extras))
    else:
        scene.ai("notes.none")
    scene.talk.hold(3)
    twists.act(scene)
    answer = _answer(scene, spoken)
    scene.talk.human(answer)
    scene.ai("errand.understood", answer=answer)
    scene.human("errand.right")
    scene.ai("errand.thanks")
    scene.human(f"bye.{request.category}")
    scene.ai("bye")

    highlights = [
        written.say(
            "done.answer", place=scene.place(written), description=written.quote(request.description),
            answer=_answer(scene, written),
        )
    ]  # fmt: skip
    if request.extras:
        highlights.append(written.say("done.passed_on", extras=written.quotes(request.extras)))
    highlights.extend(twists.remarks(scene))
    if scene.outcome == "fully_booked":
        next_steps = written.say("next.refused")
    else:
        next_steps = written.say("next.answered", number=request.number)
    return Ending("success", " ".join(highlights), next_steps)


def _answer(scene: Scene, book: Phrasebook) -> str:
    """What the callee answers, in the language of `book`; the facts in it follow from the request alone."""
    if scene.outcome == "fully_booked":
        return book.say("answer.no")
    if scene.outcome == "no_event":
        return book.say("answer.walk_in")
    if scene.outcome == "counter_offer":
        return book.say("answer.other", offer=scene.moment(book, alternative(scene.request, scene.now)))
    facts = {}
    seed = scene.request.description
    if scene.request.topic == "hours":
        facts = {"opens": book.clock(time(8 + number(seed, "opens") % 3)), "closes": book.clock(_closes(seed))}
    elif scene.request.topic in {"ready", "stock"}:
        facts = {"closes": book.clock(_closes(seed))}
    elif scene.request.topic == "price":
        facts = {"price": book.money(20 + number(seed, "price") % 60, scene.request.number)}
    return book.say(f"answer.{scene.request.topic}", **facts)


def _closes(seed: str) -> time:
    return time(18 + number(seed, "closes") % 4)
