"""The callee of a line: what it says, turn by turn, as its scenario says."""

from collections.abc import Iterator

from kallyai_mcp.sandbox.simulator.call_context import CallContext
from kallyai_mcp.sandbox.simulator.caller import Caller
from kallyai_mcp.sandbox.simulator.facts import answer_to, is_inquiry
from kallyai_mcp.sandbox.simulator.scenario import BilingualText, Detail, Turn, TurnKind
from kallyai_mcp.sandbox.simulator.simulated_call import Slot


class Callee:
    """The callee in one call. The assistant's replies decide how it goes on."""

    def __init__(self, context: CallContext, caller: Caller) -> None:
        self._context = context
        self._caller = caller
        self._say = context.spoken.say

    def turns(self) -> Iterator[Turn]:
        """Yield the callee's turns; the assistant's reply to each is there before the next one is
        asked for.
        """
        scenario = self._context.scenario
        is_booking = self._context.request.kind == "booking"
        if not self._begins_with_greeting():
            yield self.greeting()
            if is_booking:
                yield self._turn("asks", self._say("check"), about="notes").model_copy(
                    update={"seconds": 17.0}
                )
        yield from scenario.turns
        if self._caller.result is None and self._caller.question is None:
            notes_first = is_booking and not scenario.turns
            yield from self._decide(self._say("noted") if notes_first else "")
        while self._caller.question is not None:
            yield self._turn("answers", self._answer(self._caller.question))
        yield self._last_turn()

    def _last_turn(self) -> Turn:
        if self._context.scenario.is_recording:
            return Turn(does="hangs_up")
        return self._turn("says_goodbye", self._say("bye.callee"))

    def _begins_with_greeting(self) -> bool:
        """Whether the scenario has the call from its beginning."""
        turns = self._context.scenario.turns
        return bool(turns) and turns[0].does == "greets"

    def greeting(self) -> Turn:
        """Return what the callee says when it picks up."""
        business = self._context.request.business
        words = self._context.spoken.say_known("greet.named", "greet", business=business)
        return self._turn("greets", words)

    def _turn(
        self, does: TurnKind, *sentences: str, about: Detail | None = None, slot: Slot | None = None
    ) -> Turn:
        text = " ".join(filter(None, sentences))
        words = BilingualText(en=text, es=text)
        if slot is None:
            return Turn(does=does, says=words, about=about)
        return Turn(does=does, says=words, about=about, on=slot.day, at=slot.at)

    def _answer(self, question: str) -> str:
        """Return the reply to a question: the scenario's, or what the callee knows, or that it does
        not know.
        """
        scenario = self._context.scenario
        language = self._context.spoken.language
        if scenario.answer is not None:
            return scenario.answer.in_language(language)
        return answer_to(question, scenario.knows, language) or self._say("answer.unknown")

    def _answer_to_task(self) -> str:
        """Return the reply to a task that books nothing and is no question."""
        task = self._context.request.description
        if self._context.scenario.does == "declines":
            return self._say("answer.no")
        return self._answer(task) if is_inquiry(task) else self._say("answer.task")

    def _decide(self, first: str) -> Iterator[Turn]:
        """Answer the request."""
        request = self._context.request
        does = self._context.scenario.does
        answer = self._context.scenario.answer
        knows_booking = request.kind in ("booking", "task") or request.earlier is not None
        if answer is not None:
            yield self._turn("answers", answer.in_language(self._context.spoken.language))
        elif does == "needs_no_booking" and request.kind in ("booking", "task"):
            yield self._turn("needs_no_booking", first, self._say("walk_in"))
        elif request.kind == "task":
            yield self._turn("answers", first, self._answer_to_task())
        elif not knows_booking:
            yield self._turn("declines", first, self._say("no_booking"))
        elif does == "declines":
            yield self._turn("declines", first, self._no())
        elif request.kind == "cancel":
            yield self._turn(
                "agrees", first, self._context.about_earlier(self._context.spoken, "cancel.done")
            )
        else:
            yield from self._book(first)

    def _no(self) -> str:
        request = self._context.request
        book = self._context.spoken
        if request.kind != "booking":
            return book.say(f"{request.kind}.no")
        if request.asked is None:
            return book.say("full.undated")
        return book.say("full", moment=book.moment(request.asked))

    def _book(self, first: str) -> Iterator[Turn]:
        """Agree to a new time, after an offer if the time asked for is not free."""
        context = self._context
        request = context.request
        book = context.spoken
        moves = request.kind == "move"
        offer = context.offer()
        if offer is not None:
            yield self._turn("offers", first, self._offer(offer), slot=offer)
            if self._caller.refused_offer is not None:
                yield self._turn(
                    "declines", self._say("move.stays" if moves else "offer.that_is_all")
                )
                return
            first = ""
        slot = offer or context.asked_or_usual()
        facts = {
            "thing": context.thing(book),
            "when": context.when(book, slot),
            "under": context.under(book),
        }
        yield self._turn(
            "agrees", first, self._say("move.done" if moves else "readback", **facts), slot=slot
        )

    def _offer(self, offer: Slot) -> str:
        """Return the sentence with another time: the time asked for is taken, or the request left
        it open.
        """
        asked = self._context.request.asked
        book = self._context.spoken
        if asked is None:
            return book.say("propose", offer=book.moment(offer))
        if offer.day != asked.day or offer.at is None:
            return book.say("taken", asked=book.moment(asked), offer=book.moment(offer))
        if asked.at is None:
            return book.say("propose.time", time=book.time(offer.at))
        return book.say("taken", asked=book.time(asked.at), offer=book.time(offer.at))
