"""The assistant: what it says follows from the submission and from what the callee has said so far."""

from typing import Final, Literal

from kallyai_mcp.sandbox.simulator.call_context import CallContext
from kallyai_mcp.sandbox.simulator.scenario import Turn, TurnKind
from kallyai_mcp.sandbox.simulator.simulated_call import Slot
from kallyai_mcp.sandbox.simulator.submission import TaskCategory

Result = Literal["agreed", "declined", "needs_no_booking", "answered"]
"""The callee's answer to the request."""

_ANSWERS: Final[frozenset[TurnKind]] = frozenset({"answers", "agrees", "declines", "needs_no_booking"})
"""The turns that answer a question."""


class Caller:
    """The assistant in one call: `reply` adds a turn of the callee and the assistant's answer to it."""

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._say = context.spoken.say
        self._has_asked = False
        self._accepted: Slot | None = None
        self.unasked = list(context.request.questions)
        self.question: str | None = None  # asked and not answered yet
        self.answers: list[tuple[str, str]] = []  # the questions with the callee's words
        self.result: Result | None = None
        self.words = ""  # of the result
        self.slot: Slot | None = None  # the day and time that were agreed
        self.refused_offer: Slot | None = None  # the last one that was not accepted
        self.was_given_orders = False
        self.has_told_details = False
        self.is_over = False

    @property
    def expects(self) -> TurnKind:
        """The turn of the callee that would fit best now."""
        if self.question is not None:
            return "answers"
        if self.result is not None:
            return "says_goodbye"
        return "answers" if self._context.request.kind == "task" else "agrees"

    def reply(self, turn: Turn) -> None:
        """Add a turn of the callee and the assistant's reply."""
        dialogue = self._context.dialogue
        words = turn.words(self._context.spoken.language)
        if words:
            dialogue.say("HUMAN", words)
        if turn.does == "hangs_up":
            self.is_over = True
            return
        dialogue.say("AI", *self._replies(turn, words))
        dialogue.hold(turn.seconds)
        self.is_over = turn.does == "says_goodbye"

    def _replies(self, turn: Turn, words: str) -> list[str]:
        if turn.does == "says_goodbye":
            return [self._say("bye")]
        if not self._has_asked:
            self._has_asked = True
            first = self._context.first_question()
            if first:
                self.question = self.unasked.pop(0)
            self.has_told_details = self._context.request.kind != "booking"  # there the callee asks for them
            details = self._context.to_note() if self.has_told_details else []
            return [*self._context.opening(), *details, *first]
        books = turn.does == "agrees" and (turn.at is not None or turn.on is not None or self._accepted is not None)
        if self.question is not None and turn.does in _ANSWERS and not books:
            self.answers.append((self.question, words))
            self.question = None
            self.result = self.result or "answered"
            return [self._say("thanks"), *self._next_question()]
        match turn.does:
            case "holds":
                return [self._say("hold.wait")]
            case "asks":
                return self._detail(turn)
            case "orders":
                self.was_given_orders = True
                return [self._say("orders.refused")]
            case "offers":
                return self._offers(self._slot_of(turn))
            case "agrees":
                return self._agrees(turn, words)
            case "declines" | "needs_no_booking":
                self.result = "declined" if turn.does == "declines" else "needs_no_booking"
                self.words = words
                return [self._say("understood"), *self._next_question()]
            case "answers":
                self.result, self.words = "answered", words
                return [self._say("thanks"), *self._next_question()]
            case _:
                return [self._say("go_on")]

    def _next_question(self) -> list[str]:
        if not self.unasked or self.question is not None:
            return []
        key = "question.next" if self.answers else "question"
        self.question = self.unasked.pop(0)
        return [self._say(key, question=self.question)]

    def _detail(self, turn: Turn) -> list[str]:
        request, book = self._context.request, self._context.spoken
        match turn.about:
            case "name":
                return [self._say("name", under=self._context.under(book))]
            case "phone" if request.phone:
                return [self._say("phone.given", phone=request.phone)]
            case "party" if request.party is not None:
                return [self._context.people(book)]
            case "time" if request.asked is not None:
                return [self._say("about.moment", moment=book.moment(request.asked))]
            case "notes":
                self.has_told_details = True
                return [self._say("notes", description=book.quote(request.description)), *self._context.to_note()]
            case _:
                return [self._say("unknown")]

    def _offers(self, slot: Slot) -> list[str]:
        if not self._may_accept(slot):
            self.refused_offer = slot
            return [self._say("offer.refused")]
        self._accepted = slot
        asked, book = self._context.request.asked, self._context.spoken
        is_same_day = asked is not None and asked.day == slot.day
        offer = book.time(slot.at) if is_same_day and slot.at is not None else book.moment(slot)
        return [self._say("offer.accepted", offer=offer)]

    def _agrees(self, turn: Turn, words: str) -> list[str]:
        request = self._context.request
        self.words = words
        if request.kind == "cancel":
            self.result = "agreed"
            return [self._say("confirm"), *self._next_question()]
        if turn.at is not None or turn.on is not None:
            slot = self._slot_of(turn)
            if slot != self._accepted and not self._may_accept(slot):
                self.refused_offer = slot
                return [self._say("offer.refused")]
            self._accepted = slot
        elif request.kind == "task" and self._accepted is None:
            self.result = "answered"
            return [self._say("thanks"), *self._next_question()]
        self.result, self.slot = "agreed", self._accepted or request.asked
        if self.slot is None or (self.slot.at is None and request.category is not TaskCategory.HOTEL):
            self.slot = self._context.usual()  # nobody has named the time, so the assistant does
            moment = self._context.spoken.moment(self.slot)
            return [self._say("offer.accepted", offer=moment), *self._next_question()]
        return [self._say("confirm"), *self._next_question()]

    def _slot_of(self, turn: Turn) -> Slot:
        """Return the day and time that a turn names; what it leaves out is as asked for."""
        like = self._accepted or self._context.request.asked or self._context.usual()
        return Slot(turn.on or like.day, turn.at or like.at)

    def _may_accept(self, slot: Slot) -> bool:
        """Whether the assistant may agree to this time: it was asked for, was left open, or others are allowed."""
        request = self._context.request
        fits_day = request.asked is None or slot.day == request.asked.day
        fits_time = request.at is None or slot.at == request.at or request.category is TaskCategory.HOTEL
        times = f"{slot.at:%H:%M}" if slot.at is not None else ""
        if fits_day and any(first <= times <= last for first, last in request.other_times):
            return True
        if request.kind == "move" and slot != request.asked:
            return not request.keeps_time
        return (fits_day and fits_time) or not request.keeps_time
