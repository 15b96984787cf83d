"""What the parts of a conversation share, and the turns that every conversation has."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from kallyai_mcp.sandbox.simulator.dialogue import Dialogue, Event
from kallyai_mcp.sandbox.simulator.phrasebook import Phrasebook
from kallyai_mcp.sandbox.simulator.request import Request
from kallyai_mcp.sandbox.simulator.submission import TaskCategory
from kallyai_mcp.sandbox.simulator.time_slots import Slot

_LASTS: Final = {
    TaskCategory.RESTAURANT: timedelta(hours=2),
    TaskCategory.CLINIC: timedelta(minutes=30),
    TaskCategory.GENERAL: timedelta(minutes=30),
}


@dataclass(frozen=True)
class Ending:
    """How a call ended: the fields of `SimulatedCall` that do not follow from the words spoken."""

    status: str
    highlights: str
    next_steps: str
    event: Event | None = None


@dataclass(frozen=True)
class CallContext:
    """One call.

    Attributes:
        request: What the assistant wants.
        outcome: What the number dialled makes of it (`numbers`).
        spoken: The phrases of the call language.
        written: The phrases of the app language, for highlights and next steps.
        dialogue: What has been said.
        now: The caller's local time, aware.
        call_id: The call.
    """

    request: Request
    outcome: str
    spoken: Phrasebook
    written: Phrasebook
    dialogue: Dialogue
    now: datetime
    call_id: str

    def ai(self, *keys: str, **facts: str) -> None:
        """The assistant says the phrases of `keys`."""
        self.dialogue.ai(*(self.spoken.say(key, **facts) for key in keys))

    def human(self, *keys: str, **facts: str) -> None:
        """Who answered says the phrases of `keys`."""
        self.dialogue.human(*(self.spoken.say(key, **facts) for key in keys))

    def greet(self) -> None:
        """Who answered opens the conversation."""
        if self.request.business:
            self.human("greet.business", business=self.request.business)
        else:
            self.human("greet.plain")

    def state_request(self, *more: str) -> None:
        """The assistant says that it is an AI, whom it calls for, what it wants, and `more`: one turn."""
        request, book = self.request, self.spoken
        sentences = [book.say("intro.named", name=request.name) if request.name else book.say("intro.unnamed")]
        if request.is_inquiry:
            sentences.append(book.say("inquiry", description=book.quote(request.description)))
            if request.party is not None:
                sentences.append(book.say("inquiry.party", party=str(request.party)))
            if request.day is not None:
                sentences.append(book.say("inquiry.dated", moment=self.moment(book, Slot(request.day, request.at))))
        elif request.day is not None:
            when = self.when(book, Slot(request.day, request.at))
            sentences.append(book.say("want.dated", thing=self.thing(book), when=when))
        else:
            sentences.append(book.say("want.undated", thing=self.thing(book)))
        if request.preference:
            sentences.append(book.say("preference", preference=book.quote(request.preference)))
        if request.urgent:
            sentences.append(book.say("urgent"))
        self.dialogue.ai(*sentences, *more)

    def thing(self, book: Phrasebook) -> str:
        """What is booked, in words ("a table for 4")."""
        return book.say(f"thing.{self.request.category}", party=self._party(book))

    def place(self, book: Phrasebook) -> str:
        """Where, in words (" at Italian Bistro"); empty when the business has no name."""
        return book.say("place", business=self.request.business) if self.request.business else ""

    def moment(self, book: Phrasebook, slot: Slot) -> str:
        """`slot` in words ("Friday, November 27 at 7:00 PM")."""
        return book.moment(slot.day, slot.at, today=self.now.date())

    def when(self, book: Phrasebook, slot: Slot) -> str:
        """`slot` in words that follow `thing` ("on Friday, November 27 at 7:00 PM")."""
        key = "when.hotel" if self.request.category is TaskCategory.HOTEL else "when"
        return book.say(key, moment=self.moment(book, slot))

    def under(self, book: Phrasebook) -> str:
        """What it is booked under: the name, else the caller's number, else the number that calls."""
        if self.request.name:
            return book.say("under.name", name=self.request.name)
        return book.say("under.phone", phone=self.request.phone) if self.request.phone else book.say("under.line")

    def event(self, slot: Slot, highlights: str) -> Event:
        """The appointment at `slot`: a room is booked by days, all else by the hour."""
        request, book = self.request, self.written
        if request.category is TaskCategory.HOTEL or slot.at is None:
            start, end = slot.day, slot.day + timedelta(days=1)
        else:
            zone = self.now.tzinfo
            instant = datetime.combine(slot.day, slot.at, zone).astimezone(ZoneInfo("UTC"))
            start, end = instant.astimezone(zone), (instant + _LASTS[request.category]).astimezone(zone)
        summary = book.say(f"event.{request.category}", party=self._party(book), place=self.place(book))
        notes = (
            highlights,
            book.say("event.change", number=request.number),
            book.say("event.call", call_id=self.call_id),
        )
        return Event(summary, start, end, request.business, "\n".join(notes))

    def _party(self, book: Phrasebook) -> str:
        return book.say("party", party=str(self.request.party)) if self.request.party is not None else ""
