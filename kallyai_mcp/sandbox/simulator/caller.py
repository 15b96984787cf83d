"""The assistant: what it says follows from the submission and from what the callee has said so far."""

from typing import Final, Literal

from kallyai_mcp.sandbox.simulator.call_context import CallContext
from kallyai_mcp.sandbox.simulator.rephrasing import note
from kallyai_mcp.sandbox.simulator.scenario import Turn, TurnKind
from kallyai_mcp.sandbox.simulator.submission import TaskCategory
from kallyai_mcp.sandbox.simulator.time_slots import Slot

Result = Literal["agreed", "declined", "needs_no_booking", "answered"]
"""The callee's answer to the request."""


class Caller:
    """The assistant in one call: `reply` adds a turn of the callee and the assistant's answer to it.

    Attributes:
        asked_question: The question of `additional_instructions` that the assistant has asked and the callee has not
            answered.
        result: The callee's answer to the request; None until it has answered.
        slot: The day and time that were agreed; None if none were.
        refused_offer: The last other time that the callee offered and the assistant did not accept.
        answer: The words of the callee's answer to the request.
        answers: The callee's answers to the questions of `additional_instructions`, by question.
        was_given_orders: The callee gave orders to the assistant.
        said_more: The assistant has told the callee more than the request itself.
        told_extras: This included the `additional_instructions`.
        is_over: Nothing more is said.
    """

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._has_asked = False
        self._accepted: Slot | None = None
        self._questions = list(context.request.questions)
        self.asked_question: str | None = None
        self._was_thanked = False
        self.result: Result | None = None
        self.slot: Slot | None = None
        self.refused_offer: Slot | None = None
        self.answer: str | None = None
        self.answers: dict[str, str] = {}
        self.was_given_orders = False
        self.said_more = False
        self.told_extras = False
        self.is_over = False

    @property
    def expects(self) -> TurnKind:
        """The turn of the callee that would fit best now."""
        if self.asked_question is not None:
            return "answers"
        if self.result is not None:
            return "says_goodbye"
        return "answers" if self._context.request.kind == "question" else "agrees"

    def reply(self, turn: Turn) -> None:
        """Add a turn of the callee and the assistant's reply."""
        dialogue, book = self._context.dialogue, self._context.spoken
        words = turn.words(book.language)
        if words:
            dialogue.human(words)
        if turn.does == "hangs_up":
            self.is_over = True
            return
        dialogue.ai(*(self._replies(turn, words)))
        dialogue.hold(turn.seconds)
        if turn.does == "says_goodbye":
            self.is_over = True

    def _replies(self, turn: Turn, words: str) -> list[str]:
        if turn.does == "says_goodbye":
            return [self._say("bye")]
        if not self._has_asked:
            self._has_asked = True
            asks = self._context.request.kind == "question"  # then the callee does not ask for notes
            return [*self._context.opening(), *(self._extras() if asks else [])]
        if self.asked_question is not None and turn.does in _ANSWERS:
            self.answers[self.asked_question] = words
            self.asked_question = None
            return self._thanks()
        match turn.does:
            case "holds":
                return [self._say("hold.wait")]
            case "asks":
                return self._asks(turn)
            case "orders":
                self.was_given_orders = True
                return [self._say("injected.refused")]
            case "offers":
                return self._offers(turn)
            case "agrees":
                return self._agrees(turn, words)
            case "declines":
                self.result, self.answer = "declined", words
                return [self._say("full.understood" if self._context.request.kind == "booking" else "no.understood")]
            case "needs_no_booking":
                self.result, self.answer = "needs_no_booking", words
                return [self._say("walk_in.understood")]
            case "answers":
                self.result, self.answer = "answered", words
                return self._thanks()
            case _:
                return [self._say("strange.reply")]

    def _say(self, key: str, **facts: str) -> str:
        return self._context.spoken.say(key, **facts)

    def _thanks(self) -> list[str]:
        """Thank for an answer, and ask the next question if there is one."""
        thanks = self._say("thanks.again" if self._was_thanked else "thanks")
        self._was_thanked = True
        return [thanks, *self._next_question()]

    def _next_question(self) -> list[str]:
        if not self._questions:
            return []
        self.asked_question = self._questions.pop(0)
        return [self._context.question(self.asked_question)]

    def _asks(self, turn: Turn) -> list[str]:
        request = self._context.request
        if turn.about == "name":
            if request.name:
                return [self._say("name.given" if request.kind == "booking" else "name.is", name=request.name)]
            key = "name.line" if request.shared_phone is None else "name.phone"
            key = "name.kept" if request.keeps_name else key
            return [self._say(key, phone=request.shared_phone or "")]
        if turn.about == "phone":
            if request.keeps_phone:
                return [self._say("phone.kept")]
            return [self._say("phone.given", phone=request.phone) if request.phone else self._say("phone.none")]
        if turn.about in ("party", "time"):
            return self._context.missing_details(turn.about)
        if turn.about == "notes":
            notes = self._notes()
            self.said_more = bool(notes)
            return notes or [self._say("notes.none")]
        return [self._say("unknown")]

    def _notes(self) -> list[str]:
        """The sentences with what the callee should know in addition to the request."""
        request = self._context.request
        tells = request.kind == "booking" and not self._context.tells_wishes_early
        return [*(self._context.wishes() if tells else []), *self._extras()]

    def _extras(self) -> list[str]:
        """The `additional_instructions` that the callee should know."""
        if not self._context.request.extras:
            return []
        self.told_extras = True
        book = self._context.spoken
        extras = "; ".join(note(extra, book.language) for extra in self._context.request.extras)
        return [book.say("notes.extras", extras=extras)]

    def _offers(self, turn: Turn) -> list[str]:
        slot = self._slot_of(turn)
        if not self._may_accept(slot):
            self.refused_offer = slot
            return [self._say("offer.refused")]
        self._accepted = slot
        return [self._say("offer.accepted", offer=self._context.in_reply(slot))]

    def _agrees(self, turn: Turn, words: str) -> list[str]:
        if turn.at is not None or turn.on is not None:
            slot = self._slot_of(turn)
            if slot != self._accepted and not self._may_accept(slot):
                self.refused_offer = slot
                return [self._say("offer.refused")]
            self._accepted = slot
        self.result, self.answer = "agreed", words
        self.slot = self._accepted or self._context.asked
        if self._context.request.kind != "booking":
            return self._thanks()
        if self.slot is None:  # nobody has named a day, so the assistant does
            self.slot = self._context.usual()
            return [self._say("offer.accepted", offer=self._context.in_reply(self.slot)), *self._next_question()]
        return [self._say("confirm"), *self._next_question()]

    def _slot_of(self, turn: Turn) -> Slot:
        """Return the day and time that a turn names; what it leaves out is as asked for."""
        asked = self._accepted or self._context.asked or self._context.usual()
        return Slot(turn.on or asked.day, turn.at or asked.at)

    def _may_accept(self, slot: Slot) -> bool:
        """Whether the assistant may agree to this time: it was asked for, or others are allowed."""
        request = self._context.request
        fits = (request.day is None or slot.day == request.day) and (
            request.at is None or slot.at == request.at or request.category is TaskCategory.HOTEL
        )
        return fits or not request.keeps_time


_ANSWERS: Final[frozenset[TurnKind]] = frozenset({"answers", "agrees", "declines", "speaks"})
"""The turns that can answer a question of `additional_instructions`."""
