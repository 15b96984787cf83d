"""One call: what is known of it, and the sentences that several parts of it use."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from kallyai_mcp.sandbox.simulator.phrasebook import Phrasebook
from kallyai_mcp.sandbox.simulator.request import Request, alternative, usual
from kallyai_mcp.sandbox.simulator.scenario import Scenario
from kallyai_mcp.sandbox.simulator.simulated_call import Dialogue, Event, Slot
from kallyai_mcp.sandbox.simulator.submission import TaskCategory

_DURATION: Final = {
    TaskCategory.RESTAURANT: timedelta(hours=2),
    TaskCategory.CLINIC: timedelta(minutes=30),
    TaskCategory.GENERAL: timedelta(minutes=30),
}


@dataclass(frozen=True)
class CallContext:
    """What is known of a call: `spoken` is in the call language, `written` in the app language; `now` is local."""

    request: Request
    scenario: Scenario
    spoken: Phrasebook
    written: Phrasebook
    dialogue: Dialogue
    now: datetime
    call_id: str

    def opening(self) -> list[str]:
        """Return the sentences in which the assistant says that it is an AI, for which user it calls, and why."""
        request, book = self.request, self.spoken
        sentences = [book.say("intro.named", name=request.name) if request.name else book.say("intro.unnamed")]
        if request.kind == "task":
            if not request.description.endswith("?"):
                sentences.append(book.say("task", description=book.quote(request.description)))
            if request.earlier is not None:
                sentences.append(self.about_earlier(book, "about.booking"))
            elif request.party is not None:
                sentences.append(self.people(book))
            if request.asked is not None:
                sentences.append(book.say("about.moment", moment=self.new_time(book, request.asked)))
        elif request.kind == "booking":
            key, when = ("", self.when(book, request.asked)) if request.asked is not None else (".undated", "")
            sentences.append(book.say(f"want.booking{key}", thing=self.thing(book), when=when))
        elif request.earlier is None:
            sentences.append(book.say(f"want.{request.kind}.unknown"))
        else:
            sentences.append(self.about_earlier(book, f"want.{request.kind}"))
            if request.kind == "move" and request.party != request.earlier.party:
                sentences.append(self.people(book, "now"))
        if request.preference and request.kind != "cancel":
            sentences.append(book.say("preference", preference=book.quote(request.preference)))
        if request.urgent:
            sentences.append(book.say("urgent"))
        return sentences

    def first_question(self) -> list[str]:
        """Return the question that the call is about, which follows the opening, as a list of one or no sentences."""
        is_question = self.request.kind == "task" and self.request.description.endswith("?")
        return [self.spoken.say("question", question=self.request.description)] if is_question else []

    def details(self, book: Phrasebook) -> str:
        """Return what the callee is told besides the request: a number to call back, and the wishes."""
        phone = self.request.phone
        numbers = [book.say("phone", phone=phone)] if phone else []
        return "; ".join([*numbers, *map(book.quote, self.request.wishes)])

    def to_note(self) -> list[str]:
        """Return the sentence in which the assistant tells them, as a list of one or no sentences."""
        details = self.details(self.spoken)
        return [self.spoken.say("details", details=details)] if details else []

    def people(self, book: Phrasebook, what: str = "about") -> str:
        """Return the number of people as a sentence."""
        party = self.request.party
        return book.say(f"{what}.party.one" if party == 1 else f"{what}.party", party=str(party))

    def about_earlier(self, book: Phrasebook, key: str) -> str:
        """Return a phrase about the booking that is to be moved or canceled."""
        request = self.request
        assert request.earlier is not None  # noqa: S101 - the callers have checked it
        moment = self.new_time(book, request.asked) if request.asked is not None else ""
        when = self._when(book, request.earlier.slot, request.earlier.departs)
        thing, under, place = self._thing(book, request.earlier.party), self.under(book), self.place(book)
        return book.say(key, thing=thing, when=when, under=under, place=place, moment=moment)

    def thing(self, book: Phrasebook) -> str:
        """Return what is booked, in words ("a table for 4")."""
        return self._thing(book, self.request.party)

    def _thing(self, book: Phrasebook, party: int | None) -> str:
        return book.say(f"thing.{self.request.category}", party=self._party(book, party))

    def _party(self, book: Phrasebook, party: int | None) -> str:
        is_alone_anyway = self.request.category in (TaskCategory.CLINIC, TaskCategory.GENERAL)
        if party is None or (party == 1 and is_alone_anyway):
            return ""
        return book.say("party.one" if party == 1 else "party", party=str(party))

    def place(self, book: Phrasebook) -> str:
        """Return the place in words (" at Italian Bistro"); empty if the business has no name."""
        return book.say("place", business=self.request.business) if self.request.business else ""

    def when(self, book: Phrasebook, slot: Slot) -> str:
        """Return `slot` in words that fit after `thing` ("on Friday, November 27 at 7:00 PM")."""
        return self._when(book, slot, self.departure(slot))

    def _when(self, book: Phrasebook, slot: Slot, departs: date | None) -> str:
        key = "when.hotel" if self.request.category is TaskCategory.HOTEL else "when"
        return book.say(key, moment=_stay(book, slot, departs))

    def new_time(self, book: Phrasebook, slot: Slot) -> str:
        """Return the new day and time of a booking, with the departure if there is one."""
        return _stay(book, slot, self.departure(slot))

    def departure(self, slot: Slot) -> date | None:
        """Return the day of departure after an arrival; None if none was asked for, or it would not be later."""
        departs = self.request.departs
        return departs if departs is not None and departs > slot.day else None

    def under(self, book: Phrasebook) -> str:
        """Return in words how the booking is found: by the user's name, else by their number, else by this number."""
        earlier, name = self.request.earlier, self.request.name
        if name := (earlier.name if earlier is not None and earlier.name else name):
            return book.say("under.name", name=name)
        phone = self.request.phone
        return book.say("under.phone", phone=phone) if phone else book.say("under.line")

    def usual(self) -> Slot:
        """Return the day and time that the callee proposes if the request leaves them open."""
        asked = self.request.asked
        return usual(self.request, asked.day if asked else self.now.date() + timedelta(days=1), self.now)

    def offer(self) -> Slot | None:
        """Return the day and time that the callee names in place of those asked for; None if it has these."""
        asked, scenario = self.request.asked, self.scenario
        if scenario.does == "offers_another_time":
            return alternative(self.request, self.now)
        if scenario.at is not None or scenario.on is not None:
            like = asked if asked is not None and asked.at is not None else self.usual()
            free = Slot(scenario.on or like.day, scenario.at or like.at)
        elif asked is not None and (asked.at is not None or self.request.category is TaskCategory.HOTEL):
            return None
        else:
            free = self.usual()
        return free if free != asked else None

    def event(self, slot: Slot, highlights: str) -> Event:
        """Return the appointment at `slot`: whole days for a room or without a time."""
        request, book = self.request, self.written
        summary = book.say(f"event.{request.category}", party=self._party(book, request.party), place=self.place(book))
        notes = [highlights, book.say("event.change", number=request.number)]
        notes.append(book.say("event.call", call_id=self.call_id))
        description = "\n".join(notes)
        if slot.at is None or request.category is TaskCategory.HOTEL:
            ends = self.departure(slot) or slot.day + timedelta(days=1)
            return Event(summary, slot.day, ends, request.business, description)
        zone = self.now.tzinfo
        start = datetime.combine(slot.day, slot.at, zone).astimezone(UTC)
        end = (start + _DURATION[request.category]).astimezone(zone)
        return Event(summary, start.astimezone(zone), end, request.business, description)


def _stay(book: Phrasebook, slot: Slot, departs: date | None) -> str:
    arrives = book.moment(slot)
    return arrives if departs is None else book.say("stay", moment=arrives, departs=book.moment(Slot(departs, None)))
