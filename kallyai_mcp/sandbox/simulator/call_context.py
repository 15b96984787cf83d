"""One call: what is known of it, and the sentences that several parts of it use."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from kallyai_mcp.sandbox.simulator.open_times import alternative, usual
from kallyai_mcp.sandbox.simulator.phrasebook import Phrasebook
from kallyai_mcp.sandbox.simulator.request import Request
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
    """What is known of a call: `spoken` is in the call language, `written` in the app language;
    `now` is local.
    """

    request: Request
    scenario: Scenario
    spoken: Phrasebook
    written: Phrasebook
    dialogue: Dialogue
    now: datetime
    call_id: str

    def opening(self) -> list[str]:
        """Return the sentences in which the assistant says that it is an AI, if it is told to and
        does not forget it, for which user it calls, and why.
        """
        request = self.request
        book = self.spoken
        discloses = request.discloses and self.scenario.discloses
        intro = "intro" if discloses else "intro.silent"
        greeting = book.say_known(f"{intro}.named", f"{intro}.unnamed", name=request.name)
        sentences = [greeting, *self._purpose()]
        if request.preference and request.kind != "cancel":
            sentences.append(book.say("preference", preference=book.quote(request.preference)))
        if request.urgent:
            sentences.append(book.say("urgent"))
        return sentences

    def _purpose(self) -> list[str]:
        """Return why the assistant calls; a task that is a question follows the opening."""
        kind = self.request.kind
        if kind == "task":
            return self._task()
        if kind == "booking":
            return [self.about_new(self.spoken, "want.booking")]
        if self.request.earlier is None:
            return [self.spoken.say(f"want.{kind}.unknown")]
        sentences = [self.about_earlier(self.spoken, f"want.{kind}")]
        if kind == "move" and self.request.party != self.request.earlier.party:
            sentences.append(self.people(self.spoken, "now"))
        return sentences

    def _task(self) -> list[str]:
        request = self.request
        book = self.spoken
        sentences = []
        if not request.is_question:
            sentences.append(book.say("task", description=book.quote(request.description)))
        if request.earlier is not None:
            sentences.append(self.about_earlier(book, "about.booking"))
        elif request.party is not None:
            sentences.append(self.people(book))
        if request.asked is not None:
            sentences.append(book.say("about.moment", moment=self.new_time(book, request.asked)))
        return sentences

    def first_question(self) -> list[str]:
        """Return the question that the call is about, which follows the opening, as a list of one
        or no sentences.
        """
        if not self.request.is_question:
            return []
        return [self.spoken.say("question", question=self.request.description)]

    def details(self, book: Phrasebook) -> str:
        """Return what the callee is told besides the request: a number to call back, and the
        wishes.
        """
        details = list(map(book.quote, self.request.wishes))
        phone = self.request.phone
        if phone:
            details.insert(0, book.say("phone", phone=phone))
        return "; ".join(details)

    def to_note(self) -> list[str]:
        """Return the sentence in which the assistant tells them, as a list of one or no
        sentences.
        """
        details = self.details(self.spoken)
        return [self.spoken.say("details", details=details)] if details else []

    def people(self, book: Phrasebook, what: str = "about") -> str:
        """Return the number of people as a sentence."""
        return _counted(book, f"{what}.party", self.request.party)

    def about_new(self, book: Phrasebook, key: str) -> str:
        """Return a phrase about the wanted booking: that of `KEY.undated` without a day."""
        thing = self.thing(book)
        place = self.place(book)
        asked = self.request.asked
        if asked is None:
            return book.say(f"{key}.undated", thing=thing, place=place)
        return book.say(key, thing=thing, place=place, when=self.when(book, asked))

    def about_earlier(self, book: Phrasebook, key: str) -> str:
        """Return a phrase about the booking that is to be moved or canceled."""
        request = self.request
        assert request.earlier is not None  # noqa: S101 - the callers have checked it
        moment = self.new_time(book, request.asked) if request.asked is not None else ""
        when = self._when(book, request.earlier.slot, request.earlier.departs)
        thing = self._thing(book, request.earlier.party)
        return book.say(
            key,
            thing=thing,
            when=when,
            under=self.under(book),
            place=self.place(book),
            moment=moment,
        )

    def thing(self, book: Phrasebook) -> str:
        """Return what is booked, in words ("a table for 4")."""
        return self._thing(book, self.request.party)

    def _thing(self, book: Phrasebook, party: int | None) -> str:
        return book.say(f"thing.{self.request.category}", party=self._party(book, party))

    def _party(self, book: Phrasebook, party: int | None) -> str:
        is_alone_anyway = self.request.category in (TaskCategory.CLINIC, TaskCategory.GENERAL)
        goes_without_saying = party == 1 and is_alone_anyway
        if party is None or goes_without_saying:
            return ""
        return _counted(book, "party", party)

    def place(self, book: Phrasebook) -> str:
        """Return the place in words (" at Italian Bistro"); empty if the business has no name."""
        return book.say("place", business=self.request.business) if self.request.business else ""

    def when(self, book: Phrasebook, slot: Slot) -> str:
        """Return `slot` in words that fit after `thing` ("on Friday, November 27 at 7:00 PM")."""
        return self._when(book, slot, self.departure(slot))

    def _when(self, book: Phrasebook, slot: Slot, departs: date | None) -> str:
        key = "when.hotel" if self.request.is_stay else "when"
        return book.say(key, moment=_stay(book, slot, departs))

    def new_time(self, book: Phrasebook, slot: Slot) -> str:
        """Return the new day and time of a booking, with the departure if there is one."""
        return _stay(book, slot, self.departure(slot))

    def departure(self, slot: Slot) -> date | None:
        """Return the day of departure after an arrival; None if none was asked for, or it would not
        be later.
        """
        departs = self.request.departs
        if departs is None or departs <= slot.day:
            return None
        return departs

    def under(self, book: Phrasebook) -> str:
        """Return in words how the booking is found: by the user's name, else by their number, else
        by this number.
        """
        name = self.request.booked_name
        if name:
            return book.say("under.name", name=name)
        return book.say_known("under.phone", "under.line", phone=self.request.phone)

    def usual(self) -> Slot:
        """Return the day and time that the callee proposes if the request leaves them open."""
        asked = self.request.asked
        return usual(
            self.request, asked.day if asked else self.now.date() + timedelta(days=1), self.now
        )

    def asked_or_usual(self) -> Slot:
        """Return the day and time asked for, which may leave the time open; else the usual ones."""
        return self.request.asked or self.usual()

    def offer(self) -> Slot | None:
        """Return the day and time that the callee names in place of those asked for; None if it has
        these.
        """
        scenario = self.scenario
        if scenario.does == "offers_another_time":
            return alternative(self.request, self.now)
        free = self._wanted().changed_to(scenario.on, scenario.at)
        return None if free == self.request.asked else free

    def _wanted(self) -> Slot:
        """Return the day and time asked for; the usual ones if the request leaves them open."""
        asked = self.request.asked
        if asked is None or self.request.leaves_open(asked):
            return self.usual()
        return asked

    def event(self, slot: Slot, highlights: str) -> Event:
        """Return the appointment at `slot`: whole days for a room or without a time."""
        request = self.request
        book = self.written
        summary = book.say(
            f"event.{request.category}",
            party=self._party(book, request.party),
            place=self.place(book),
        )
        notes = [highlights, book.say("event.change", number=request.number)]
        notes.append(book.say("event.call", call_id=self.call_id))
        description = "\n".join(notes)
        at = request.time_at(slot)
        if at is None:
            ends = self.departure(slot) or slot.day + timedelta(days=1)
            return Event(summary, slot.day, ends, request.business, description)
        zone = self.now.tzinfo
        start = datetime.combine(slot.day, at, zone).astimezone(UTC)
        end = (start + _DURATION[request.category]).astimezone(zone)
        return Event(summary, start.astimezone(zone), end, request.business, description)


def _stay(book: Phrasebook, slot: Slot, departs: date | None) -> str:
    arrives = book.moment(slot)
    if departs is None:
        return arrives
    return book.say("stay", moment=arrives, departs=book.moment(Slot(departs, None)))


def _counted(book: Phrasebook, key: str, party: int | None) -> str:
    """A phrase with a number of people; that of `KEY.one` for one person."""
    return book.say(f"{key}.one" if party == 1 else key, party=str(party))
