"""The state of one simulated call, and the turns and phrases that all kinds of calls use."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from kallyai_mcp.sandbox.simulator.dialogue import Dialogue
from kallyai_mcp.sandbox.simulator.phrasebook import Phrasebook
from kallyai_mcp.sandbox.simulator.request import Request
from kallyai_mcp.sandbox.simulator.scenario import Scenario
from kallyai_mcp.sandbox.simulator.simulated_call import Event
from kallyai_mcp.sandbox.simulator.submission import TaskCategory
from kallyai_mcp.sandbox.simulator.time_slots import Slot, alternative, proposed

_DURATION: Final = {
    TaskCategory.RESTAURANT: timedelta(hours=2),
    TaskCategory.CLINIC: timedelta(minutes=30),
    TaskCategory.GENERAL: timedelta(minutes=30),
}


@dataclass(frozen=True)
class Ending:
    """How a call ended: the fields of `SimulatedCall` that are not computed from the dialogue."""

    status: str
    highlights: str
    next_steps: str
    event: Event | None = None


@dataclass(frozen=True)
class CallContext:
    """The state of one call.

    Attributes:
        request: What the assistant asks for.
        scenario: What happens on the line.
        spoken: The phrases in the call language, for the dialogue.
        written: The phrases in the app language, for highlights and next steps.
        dialogue: What has been said.
        now: The user's local time, aware.
        call_id: The call's id.
    """

    request: Request
    scenario: Scenario
    spoken: Phrasebook
    written: Phrasebook
    dialogue: Dialogue
    now: datetime
    call_id: str

    def ai(self, *keys: str, **facts: str) -> None:
        """Add a turn in which the assistant says the phrases of `keys`."""
        self.dialogue.ai(*(self.spoken.say(key, **facts) for key in keys))

    def human(self, *keys: str, **facts: str) -> None:
        """Add a turn in which the callee says the phrases of `keys`."""
        self.dialogue.human(*(self.spoken.say(key, **facts) for key in keys))

    def greet(self) -> None:
        """Add the callee's first turn."""
        if self.request.business:
            self.human("greet.business", business=self.request.business)
        else:
            self.human("greet.plain")

    def state_request(self, *more: str) -> None:
        """Add a turn in which the assistant says that it is an AI, for which user it calls, its request, and `more`."""
        request, book = self.request, self.spoken
        sentences = [book.say("intro.named", name=request.name) if request.name else book.say("intro.unnamed")]
        if request.is_inquiry:
            sentences.append(book.say("inquiry", description=book.quote(request.description)))
            if request.party is not None:
                key = "inquiry.party.one" if request.party == 1 else "inquiry.party"
                sentences.append(book.say(key, party=str(request.party)))
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
        """Return what is booked, in words ("a table for 4")."""
        return book.say(f"thing.{self.request.category}", party=self._party(book))

    def place(self, book: Phrasebook) -> str:
        """Return the place in words (" at Italian Bistro"); empty if the business has no name."""
        return book.say("place", business=self.request.business) if self.request.business else ""

    def moment(self, book: Phrasebook, slot: Slot) -> str:
        """Return `slot` in words ("Friday, November 27 at 7:00 PM")."""
        return book.moment(slot.day, slot.at, today=self.now.date())

    def when(self, book: Phrasebook, slot: Slot) -> str:
        """Return `slot` in words that fit after `thing` ("on Friday, November 27 at 7:00 PM")."""
        key = "when.hotel" if self.request.category is TaskCategory.HOTEL else "when"
        return book.say(key, moment=self.moment(book, slot))

    def under(self, book: Phrasebook) -> str:
        """Return in words what it is booked under: the user's name, else their number, else the calling number."""
        if self.request.name:
            return book.say("under.name", name=self.request.name)
        return book.say("under.phone", phone=self.request.phone) if self.request.phone else book.say("under.line")

    def offer(self) -> Slot | None:
        """Return the day and time that the callee has instead of those of the request; None if it has these."""
        request, scenario = self.request, self.scenario
        if scenario.does == "offers_another_time":
            return alternative(request, self.now)
        if scenario.at is None and scenario.on is None:
            return None
        usual = proposed(request, request.day or self.now.date() + timedelta(days=1), self.now)
        at = None if request.category is TaskCategory.HOTEL else scenario.at or request.at or usual.at
        free = Slot(scenario.on or request.day or usual.day, at)
        asked = (request.day, None if request.category is TaskCategory.HOTEL else request.at)
        return free if free != asked else None

    def event(self, slot: Slot, highlights: str) -> Event:
        """Return the appointment at `slot`: whole days for a room, times for everything else."""
        request, book = self.request, self.written
        if request.category is TaskCategory.HOTEL or slot.at is None:
            start, end = slot.day, slot.day + timedelta(days=1)
        else:
            zone = self.now.tzinfo
            instant = datetime.combine(slot.day, slot.at, zone).astimezone(ZoneInfo("UTC"))
            start, end = instant.astimezone(zone), (instant + _DURATION[request.category]).astimezone(zone)
        summary = book.say(f"event.{request.category}", party=self._party(book), place=self.place(book))
        notes = (
            highlights,
            book.say("event.change", number=request.number),
            book.say("event.call", call_id=self.call_id),
        )
        return Event(summary, start, end, request.business, "\n".join(notes))

    def _party(self, book: Phrasebook) -> str:
        size = self.request.party
        if size is None:
            return ""
        if size == 1:
            is_alone_anyway = self.request.category in (TaskCategory.CLINIC, TaskCategory.GENERAL)
            return "" if is_alone_anyway else book.say("party.one")
        return book.say("party", party=str(size))
