"""The callee of a line: what it says, turn by turn, as its scenario says."""

from collections.abc import Iterator
from datetime import time

from kallyai_mcp.sandbox.simulator.agreement import Agreement
from kallyai_mcp.sandbox.simulator.call_context import CallContext
from kallyai_mcp.sandbox.simulator.caller import Caller
from kallyai_mcp.sandbox.simulator.phrasebook import Phrasebook, number
from kallyai_mcp.sandbox.simulator.scenario import BilingualText, Detail, Turn, TurnKind
from kallyai_mcp.sandbox.simulator.submission import TaskCategory
from kallyai_mcp.sandbox.simulator.time_slots import Slot, alternative, moved, proposed
from kallyai_mcp.sandbox.simulator.topics import is_service, parts_of, quantity_in, subject_of, topic_of


class Callee:
    """The callee in one call. Its wording and its facts are the same in every call to its number.

    Args:
        context: The call.
        caller: The assistant, whose replies decide how the callee goes on.
    """

    def __init__(self, context: CallContext, caller: Caller) -> None:
        self._context = context
        self._caller = caller
        self._book = context.callee_spoken
        self._agreed: Slot | None = None

    def turns(self) -> Iterator[Turn]:
        """Yield the callee's turns; the assistant's reply to each is there before the next one is asked for."""
        scenario = self._context.scenario
        if not (scenario.turns and scenario.turns[0].does == "greets"):
            yield self.greeting()
            yield from self._preliminaries()
        yield from scenario.turns
        if self._caller.result is None:
            yield from self._decide("looked" if scenario.turns else "noted" if self._caller.said_more else None)
        while self._caller.asked_question is not None:
            yield self._turn("answers", self._answer(self._book, self._caller.asked_question))
        yield self._turn("says_goodbye", self._say(self._goodbye()))

    def greeting(self) -> Turn:
        """Return what the callee says when it picks up."""
        return self._turn("greets", self._context.greeting())

    def _say(self, key: str, **facts: str) -> str:
        return self._book.say(key, **facts)

    def _turn(self, does: TurnKind, *sentences: str, about: Detail | None = None, slot: Slot | None = None) -> Turn:
        text = " ".join(sentence for sentence in sentences if sentence)
        on, at = slot if slot is not None else (None, None)
        return Turn(does=does, says=BilingualText(en=text, es=text), about=about, on=on, at=at)

    def _preliminaries(self) -> Iterator[Turn]:
        """The questions that the callee asks before it decides about the request."""
        request = self._context.request
        if request.kind == "booking":
            if request.missing:
                about: Detail = "party" if request.missing == "party" else "time"
                yield self._turn("asks", self._say(f"ask.{request.missing}"), about=about)
            check = self._turn("asks", self._say(f"check.{request.category}"), about="notes")
            yield check.model_copy(update={"seconds": 3.0})
        elif request.kind == "question":
            yield self._turn("holds", self._say("question.check")).model_copy(update={"seconds": 3.0})
        else:
            is_told = request.name and (request.kind == "task" or request.name in request.description)
            if not is_told:
                yield self._turn("asks", self._say(f"{request.kind}.who"), about="name")
            if request.kind == "order":
                yield self._turn("asks", self._say("ask.phone"), about="phone")
            if request.extras:
                yield self._turn("asks", self._say("task.notes"), about="notes")

    def _decide(self, lead: str | None) -> Iterator[Turn]:
        does, request = self._context.scenario.does, self._context.request
        first = self._say(lead) if lead else ""
        if self._context.scenario.answer is not None:
            yield self._turn("answers", first, self._context.scenario.answer.in_language(self._book.language))
        elif request.kind == "booking":
            yield from self._decide_booking(first)
        elif does == "declines":
            yield self._turn("declines", first, self._say(f"{request.kind}.no"))
        elif does == "needs_no_booking":
            yield self._turn("needs_no_booking", first, self._say("answer.walk_in"))
        elif request.kind == "question":
            yield self._turn("answers", first, self._answer(self._book, request.description))
        else:
            yield from self._decide_task(first)

    def _decide_booking(self, first: str) -> Iterator[Turn]:
        context, request = self._context, self._context.request
        if context.scenario.does == "declines":
            yield self._turn("declines", first, self._say("full.undated" if request.day is None else "full.dated"))
            return
        if context.scenario.does == "needs_no_booking":
            yield self._turn("needs_no_booking", first, self._say("walk_in"))
            return
        offer, can_do = self._offer(), self._say("free")
        if request.only_asks:
            yield self._turn("answers", first, self._what_is_free(self._book))
            return
        if offer is not None:
            yield self._turn("offers", first, self._taken(self._book, offer), slot=offer)
            if self._caller.refused_offer is not None:
                yield self._turn("declines", self._say("offer.that_is_all"))
                return
            first = can_do = ""
        yield self._turn("asks", first, can_do, self._say("ask.name"), about="name")
        if request.name:
            yield self._turn("asks", self._say("ask.phone"), about="phone")
        slot = offer or context.asked or context.usual()
        thing, when, under = context.thing(self._book), context.when(self._book, slot), context.under(self._book)
        yield self._turn("agrees", self._say("readback", thing=thing, when=when, under=under), slot=slot)

    def _offer(self) -> Slot | None:
        """Return the day and time that the callee names: the scenario's, or what the request leaves open."""
        context, request, asked = self._context, self._context.request, self._context.asked
        if (offer := context.offer()) is not None:
            return offer
        if asked is not None:
            is_open = asked.at is None and request.category is not TaskCategory.HOTEL
            return proposed(request, asked.day, context.now) if is_open else None
        if request.needs_time and (old := context.to_be_moved) is not None:
            return moved(old, request, context.now)
        return context.usual() if request.needs_time or request.kind == "booking" else None

    def _what_is_free(self, book: Phrasebook) -> str:
        """Return the answer to a caller who only asks whether something can be booked."""
        offer = self._offer()
        return self._taken(book, offer) if offer is not None else book.say("free")

    def _taken(self, book: Phrasebook, offer: Slot) -> str:
        """Return the sentence that the requested time is taken, with the offer; without such a day, only the offer."""
        asked = self._context.asked
        if asked is None:
            return book.say("propose.dated", offer=self._context.moment(book, offer))
        if asked.at is None and offer.at is not None and offer.day == asked.day:
            return book.say("propose", time=book.spoken_time(offer.at))
        if asked.at is not None and offer.at is not None and offer.day == asked.day:
            return book.say("taken", asked=book.spoken_time(asked.at), offer=book.spoken_time(offer.at))
        return book.say("taken", asked=self._context.moment(book, asked), offer=self._context.moment(book, offer))

    def _decide_task(self, first: str) -> Iterator[Turn]:
        """Cancel or change a booking that the callee knows, take an order, or promise to do something."""
        context, request, known = self._context, self._context.request, self._context.known
        found = ""
        if request.kind in ("cancel", "change") and known is not None:
            if known.is_canceled:
                yield self._turn("declines", first, self._say("cancel.gone"))
                return
            found = self._found(self._book, known)
        if request.kind != "change":
            yield self._turn("agrees", first, found, self._done(self._book))
            return
        offer = self._offer()
        if offer is not None:
            yield self._turn("offers", first, found, self._taken(self._book, offer), slot=offer)
            if self._caller.refused_offer is not None:
                yield self._turn("declines", self._say("change.stays"))
                return
            first = found = ""
        self._agreed = offer or context.asked
        yield self._turn("agrees", first, found, self._done(self._book), slot=offer)

    def _done(self, book: Phrasebook) -> str:
        """Return what the callee says when it has done what it was asked for."""
        request, line = self._context.request, self._context.number
        if request.kind == "change" and self._agreed is not None:
            return book.say("change.moved", moment=self._context.moment(book, self._agreed))
        if request.kind != "order":
            return book.say("tell.done" if request.tells else f"{request.kind}.done")
        key = "order.delivered" if request.is_delivered else "order.then" if request.names_day else "order.done"
        return book.say(
            key,
            price=self._price(book, request.description),
            ready=book.spoken_time(time(16 + number(line, "ready") % 3)),
        )

    def answer_to_request(self, book: Phrasebook) -> str:
        """Return what the callee said to the request, in the language of `book`, for the summary."""
        request, scenario = self._context.request, self._context.scenario
        if (quoted := self._quoted(book, self._caller.answer)) is not None:
            return quoted
        if scenario.answer is not None:
            return scenario.answer.in_language(book.language)
        if self._caller.result == "needs_no_booking":
            return book.say("answer.walk_in")
        if self._caller.result == "declined":
            known = self._context.known
            gone = request.kind in ("cancel", "change") and known is not None and known.is_canceled
            if self._caller.refused_offer is not None:
                return book.say("change.stays")
            return book.say("cancel.gone" if gone else f"{request.kind}.no")
        if request.kind == "booking":
            return self._what_is_free(book)
        return self._answer(book, request.description) if request.kind == "question" else self._done(book)

    def answer_to_question(self, book: Phrasebook, question: str) -> str:
        """Return what the callee said to a question of `additional_instructions`, in the language of `book`."""
        return self._quoted(book, self._caller.answers.get(question)) or self._answer(book, question)

    def _quoted(self, book: Phrasebook, words: str | None) -> str | None:
        """Return words of the scenario's turns, in the language of `book`; None for other words."""
        for turn in self._context.scenario.turns:
            if words and turn.words(self._book.language) == words:
                return book.quote(turn.words(book.language))
        return None

    def _price(self, book: Phrasebook, question: str) -> str:
        """Return what something costs. The price depends on the thing and the number of pieces, not on the wording."""
        asked = question if subject_of(question) else self._context.request.description
        each = 4 + number(self._context.number, subject_of(asked)) % 17
        return book.money(quantity_in(asked) * each * (10 if is_service(asked) else 1))

    def _answer(self, book: Phrasebook, question: str) -> str:
        """Return the answer to a question. Its facts depend on the number and the question only."""
        return " ".join(dict.fromkeys(self._answer_part(book, part) for part in parts_of(question)))

    def _answer_part(self, book: Phrasebook, question: str) -> str:
        context, line, topic = self._context, self._context.number, topic_of(question)
        if topic == "booking" and (known := context.known) is not None:
            return book.say("cancel.gone") if known.is_canceled else self._found(book, known)
        if topic == "price" and context.request.kind == "cancel":
            return book.say("answer.no_fee")
        offers = context.scenario.does == "offers_another_time" and topic in ("free", "yes")
        if offers and question == context.request.description:
            return book.say("answer.other", offer=context.moment(book, alternative(context.request, context.now)))
        facts = {
            "opens": book.spoken_time(time(8 + number(line, "opens") % 3)),
            "closes": book.spoken_time(time(18 + number(line, "closes") % 4)),
            "price": self._price(book, question),
            "minutes": str(20 + 10 * (number(line, subject_of(question)) % 8)),
            "when": book.spoken_time(time(16 + number(line, subject_of(question)) % 5, 30)),
        }
        return book.say(f"answer.{topic}", **facts)

    def _found(self, book: Phrasebook, known: Agreement) -> str:
        thing = self._context.thing_of(book, known.thing, known.party)
        return book.say("found", thing=thing, when=self._context.when(book, Slot(known.day, known.at)))

    def _goodbye(self) -> str:
        if self._caller.result != "agreed":
            return "bye.other"
        request = self._context.request
        return f"bye.{request.category if request.kind in ('booking', 'change') else TaskCategory.GENERAL}"
