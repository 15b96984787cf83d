"""The assistant: what it says follows from the submission and from what the callee has said so
far.
"""

from typing import Final, Literal

from kallyai_mcp.sandbox.simulator.call_context import CallContext
from kallyai_mcp.sandbox.simulator.scenario import Detail, Turn, TurnKind
from kallyai_mcp.sandbox.simulator.simulated_call import Slot

Result = Literal["agreed", "declined", "needs_no_booking", "answered"]
"""The callee's answer to the request."""

_ANSWERS: Final[frozenset[TurnKind]] = frozenset(
    {"answers", "agrees", "declines", "needs_no_booking"}
)
"""The turns that answer a question."""


class Caller:
    """The assistant in one call: `reply` adds a turn of the callee and the assistant's answer to
    it.
    """

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
    def unanswered(self) -> list[str]:
        """The questions that have no answer, the one that was asked last first."""
        return [*filter(None, [self.question]), *self.unasked]

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
        dialogue.say("AI", *self._reply_to(turn, words))
        dialogue.hold(turn.seconds)
        self.is_over = turn.does == "says_goodbye"

    def _reply_to(self, turn: Turn, words: str) -> list[str]:
        """What the assistant says, in sentences."""
        if turn.does == "says_goodbye":
            return [self._say("bye")]
        if not self._has_asked:
            return self._ask()
        if self.question is not None and self._is_answer(turn):
            return self._hear_answer(self.question, words)
        return self._react_to(turn, words)

    def _react_to(self, turn: Turn, words: str) -> list[str]:
        """What the assistant says to a turn that answers no question of its own."""
        match turn.does:
            case "holds":
                return [self._say("hold.wait")]
            case "asks":
                return [self._detail(turn.about)]
            case "orders":
                return self._hear_orders()
            case "offers":
                return self._hear_offer(self._slot_of(turn))
            case "agrees":
                return self._hear_agreement(turn, words)
            case "declines":
                return self._end_with("declined", words, "understood")
            case "needs_no_booking":
                return self._end_with("needs_no_booking", words, "understood")
            case "answers":
                return self._end_with("answered", words, "thanks")
            case _:
                return [self._say("go_on")]

    def _ask(self) -> list[str]:
        """The assistant's first turn. For a booking, the callee asks for what there is to note."""
        self._has_asked = True
        sentences = self._context.opening()
        if self._context.request.kind != "booking":
            self.has_told_details = True
            sentences += self._context.to_note()
        first = self._context.first_question()
        if first:
            self.question = self.unasked.pop(0)
        return [*sentences, *first]

    def _is_answer(self, turn: Turn) -> bool:
        """Whether a turn answers a question. Agreement to a day or time is about the request."""
        has_slot = turn.names_slot or self._accepted is not None
        books = turn.does == "agrees" and has_slot
        return turn.does in _ANSWERS and not books

    def _hear_answer(self, question: str, words: str) -> list[str]:
        self.answers.append((question, words))
        self.question = None
        if self.result is None:
            self.result = "answered"
        return self._then_ask("thanks")

    def _end_with(self, result: Result, words: str, key: str) -> list[str]:
        """Take the callee's words as the answer to the request."""
        self.result = result
        self.words = words
        return self._then_ask(key)

    def _then_ask(self, key: str, **facts: str) -> list[str]:
        """A sentence, and the next question after it."""
        return [self._say(key, **facts), *self._next_question()]

    def _next_question(self) -> list[str]:
        if not self.unasked or self.question is not None:
            return []
        key = "question.next" if self.answers else "question"
        self.question = self.unasked.pop(0)
        return [self._say(key, question=self.question)]

    def _hear_orders(self) -> list[str]:
        self.was_given_orders = True
        return [self._say("orders.refused")]

    def _detail(self, about: Detail | None) -> str:
        """What the callee wants to know, or that the assistant does not know it."""
        context = self._context
        request = context.request
        book = context.spoken
        match about:
            case "name":
                return self._say("name", under=context.under(book))
            case "phone" if request.phone:
                return self._say("phone.given", phone=request.phone)
            case "party" if request.party is not None:
                return context.people(book)
            case "time" if request.asked is not None:
                return self._say("about.moment", moment=book.moment(request.asked))
            case "notes":
                return self._notes()
            case _:
                return self._say("unknown")

    def _notes(self) -> str:
        self.has_told_details = True
        context = self._context
        notes = self._say("notes", description=context.spoken.quote(context.request.description))
        return " ".join([notes, *context.to_note()])

    def _hear_offer(self, slot: Slot) -> list[str]:
        if not self._context.request.allows(slot):
            return self._refuse(slot)
        self._accepted = slot
        return [self._say("offer.accepted", offer=self._offered(slot))]

    def _refuse(self, slot: Slot) -> list[str]:
        self.refused_offer = slot
        return [self._say("offer.refused")]

    def _offered(self, slot: Slot) -> str:
        """An offer in words; its time is enough on the day asked for."""
        return self._context.spoken.moment_beside(slot, self._context.request.asked)

    def _hear_agreement(self, turn: Turn, words: str) -> list[str]:
        self.words = words
        request = self._context.request
        if request.kind == "cancel":
            return self._end_with("agreed", words, "confirm")
        if turn.names_slot:
            slot = self._slot_of(turn)
            if slot != self._accepted and not request.allows(slot):
                return self._refuse(slot)
            self._accepted = slot
        if request.kind == "task" and self._accepted is None:
            return self._end_with("answered", words, "thanks")
        return self._book(self._accepted or request.asked)

    def _book(self, agreed: Slot | None) -> list[str]:
        """Settle the day and time. If nobody has named the time, the assistant does."""
        self.result = "agreed"
        if agreed is not None and not self._context.request.leaves_open(agreed):
            self.slot = agreed
            return self._then_ask("confirm")
        self.slot = self._context.usual()
        return self._then_ask("offer.accepted", offer=self._context.spoken.moment(self.slot))

    def _slot_of(self, turn: Turn) -> Slot:
        """Return the day and time that a turn names; what it leaves out is as asked for."""
        like = self._accepted or self._context.asked_or_usual()
        return like.changed_to(turn.on, turn.at)
