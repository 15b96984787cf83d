"""The state of one simulated call, and the turns and phrases that all kinds of calls use."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from kallyai_mcp.sandbox.simulator.agreement import Agreement
from kallyai_mcp.sandbox.simulator.dialogue import Dialogue
from kallyai_mcp.sandbox.simulator.phrasebook import Phrasebook
from kallyai_mcp.sandbox.simulator.rephrasing import rephrase, rephrase_question
from kallyai_mcp.sandbox.simulator.request import Request
from kallyai_mcp.sandbox.simulator.scenario import Detail, Scenario
from kallyai_mcp.sandbox.simulator.simulated_call import Event
from kallyai_mcp.sandbox.simulator.submission import TaskCategory
from kallyai_mcp.sandbox.simulator.time_slots import Slot, alternative, proposed
from kallyai_mcp.sandbox.simulator.times_in_text import day_and_time, delay_in, names_next_week
from kallyai_mcp.sandbox.simulator.wishes import is_time_in_other_language, names_time, wish_of

_DURATION: Final = {
    TaskCategory.RESTAURANT: timedelta(hours=2),
    TaskCategory.CLINIC: timedelta(minutes=30),
    TaskCategory.GENERAL: timedelta(minutes=30),
}


@dataclass(frozen=True)
class CallContext:
    """The state of one call.

    Attributes:
        request: What the assistant asks for.
        number: The number called, in E.164.
        scenario: What happens on the line.
        agreements: The bookings that were agreed in earlier calls to the number, oldest first.
        spoken: The assistant's phrases in the call language.
        callee_spoken: The callee's phrases in the call language, the same ones in every call to the number.
        written: The phrases in the app language, for highlights and next steps.
        dialogue: What has been said.
        now: The user's local time, aware.
        call_id: The call's id.
    """

    request: Request
    number: str
    scenario: Scenario
    agreements: tuple[Agreement, ...]
    spoken: Phrasebook
    callee_spoken: Phrasebook
    written: Phrasebook
    dialogue: Dialogue
    now: datetime
    call_id: str

    @property
    def asked(self) -> Slot | None:
        """The day and time of the request; None without a day. A change that names only one of them keeps the other."""
        day, at = self.request.day, self.request.at
        if self.request.kind == "change" and self.known is not None and (day or at):
            return Slot(day or self.known.day, at or self.known.at)
        return Slot(day, at) if day is not None else None

    @property
    def known(self) -> Agreement | None:
        """The newest booking under the user's name that the callee remembers; none without a name."""
        name = (self.request.name or "").casefold()
        return next((each for each in reversed(self.agreements) if name and (each.name or "").casefold() == name), None)

    @property
    def to_be_moved(self) -> Slot | None:
        """The day and time of the booking that is to be changed: what the callee remembers, or what the task says."""
        if self.known is not None:
            return Slot(self.known.day, self.known.at)
        day, at = day_and_time(self.request.description, self.now.date())
        return Slot(day, at) if day is not None else None

    def usual(self) -> Slot:
        """Return the day and time that the callee would propose."""
        description, day = self.request.description, timedelta(days=1)
        later = 7 * day if names_next_week(description) else max(delay_in(description) or day, day)
        return proposed(self.request, self.request.day or self.now.date() + later, self.now)

    def greeting(self) -> str:
        """Return what the callee says when it picks up."""
        business = self.request.business
        say = self.callee_spoken.say
        return say("greet.business", business=business) if business else say("greet.plain")

    def opening(self) -> list[str]:
        """Return the sentences in which the assistant says that it is an AI, for which user it calls, and why."""
        request, book = self.request, self.spoken
        sentences = [book.say("intro.named", name=request.name) if request.name else book.say("intro.unnamed")]
        if request.kind == "booking":
            key = ("free" if request.only_asks else "want") + (".undated" if self.asked is None else ".dated")
            when = self.when(book, self.asked) if self.asked is not None else ""
            sentences.append(book.say(key, thing=self.thing(book), when=when))
        else:
            sentences.append(self._task())
            if request.party is not None:
                sentences.append(self.people(book, request.party))
            if self.asked is not None and not request.names_day:
                key = "change.dated" if request.kind == "change" else "inquiry.dated"
                sentences.append(book.say(key, moment=self.moment(book, self.asked)))
        if request.preference:
            is_foreign = is_time_in_other_language(request.preference, book.language)
            preference = book.quote(request.preference) if is_foreign else request.preference.rstrip(".")
            sentences.append(book.say("preference", preference=preference))
        if request.urgent:
            sentences.append(book.say("urgent"))
        return sentences

    def _task(self) -> str:
        """Return the task in the assistant's own words; quoted if it can't be put into other words."""
        book, description = self.spoken, self.request.description
        if (question := rephrase_question(description, book.language)) is not None:
            return book.say("question", question=question)
        words = rephrase(description, book.language)
        return words if words is not None else book.say("inquiry", description=book.quote(description))

    def question(self, instruction: str) -> str:
        """Return a question of `additional_instructions` as the assistant asks it."""
        words = rephrase(instruction, self.spoken.language)
        return words if words is not None else self.spoken.say("inquiry", description=self.spoken.quote(instruction))

    def missing_details(self, about: Detail) -> list[str]:
        """Return what the assistant can say about the time and the number of people, when it is asked for one."""
        request, book = self.request, self.spoken
        known = []
        if self.asked is not None and about == "time":
            known.append(book.say("inquiry.dated", moment=self.moment(book, self.asked)))
        if request.party is not None:
            known.append(self.people(book, request.party))
        if self.tells_wishes_early:
            known.extend(self.wishes())
        return known or [book.say("only.party" if about == "party" else "only.nothing")]

    @property
    def tells_wishes_early(self) -> bool:
        """Whether the assistant says what is wanted when it is asked for the time: there is a time in it."""
        return self.request.missing not in (None, "party") and names_time(self.request.description)

    def wishes(self) -> list[str]:
        """Return what a booking's description wants beyond the fields; the description, if nothing else can be said."""
        request, book = self.request, self.spoken
        wish = wish_of(
            request.description,
            book.language,
            said=[each for each in (request.business, request.preference) if each and " " in each],
            knows_party=request.party is not None,
            knows_day=request.day is not None,
        )
        if wish is None:
            return [book.say("notes.request", description=book.quote(request.description))]
        words = f"{wish.words[:1].upper()}{wish.words[1:]}" if wish.kind == "that" else wish.words
        return [each for each in (book.say(f"wish.{wish.kind}", wish=words) if words else "", wish.besides) if each]

    def in_reply(self, slot: Slot) -> str:
        """Return a slot in the words with which the assistant repeats it: the time alone, if the day is clear."""
        book = self.spoken
        if slot.at is not None and slot.day == self.request.day:
            return book.spoken_time(slot.at)
        return self.moment(book, slot)

    def thing_of(self, book: Phrasebook, category: str, party: int | None) -> str:
        """Return what a booking is, in words ("a table for 4")."""
        return book.say(f"thing.{category}", party=_party(book, category, party))

    def people(self, book: Phrasebook, party: int) -> str:
        """Return the number of people as a sentence."""
        return book.say("inquiry.party.one" if party == 1 else "inquiry.party", party=str(party))

    def thing(self, book: Phrasebook) -> str:
        """Return what is booked, in words ("a table for 4")."""
        return self.thing_of(book, self.request.category, self.request.party)

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
        """Return in words how the booking is found: by the user's name, else by their number, else by this number."""
        if self.request.name:
            return book.say("under.name", name=self.request.name)
        phone = self.request.shared_phone
        return book.say("under.phone", phone=phone) if phone else book.say("under.line")

    def offer(self) -> Slot | None:
        """Return the day and time that the callee has instead of those of the request; None if it has these."""
        request, scenario = self.request, self.scenario
        if scenario.does == "offers_another_time":
            return alternative(request, self.now)
        if scenario.at is None and scenario.on is None:
            return None
        usual = self.usual()
        free = Slot(scenario.on or request.day or usual.day, scenario.at or request.at or usual.at)
        return free if free != self.asked else None

    def event(self, slot: Slot, highlights: str) -> Event:
        """Return the appointment at `slot`: whole days for a room, times for everything else."""
        request, book = self.request, self.written
        if request.category is TaskCategory.HOTEL or slot.at is None:
            start, end = slot.day, slot.day + timedelta(days=1)
        else:
            zone = self.now.tzinfo
            instant = datetime.combine(slot.day, slot.at, zone).astimezone(ZoneInfo("UTC"))
            start, end = instant.astimezone(zone), (instant + _DURATION[request.category]).astimezone(zone)
        summary = book.say(
            f"event.{request.category}", party=_party(book, request.category, request.party), place=self.place(book)
        )
        notes = (
            highlights,
            book.say("event.change", number=request.number),
            book.say("event.call", call_id=self.call_id),
        )
        return Event(summary, start, end, request.business, "\n".join(notes))


def _party(book: Phrasebook, category: str, size: int | None) -> str:
    if size is None:
        return ""
    if size == 1:
        # People usually come alone to an appointment, so nobody says "for 1".
        is_alone_anyway = category in (TaskCategory.CLINIC, TaskCategory.GENERAL)
        return "" if is_alone_anyway else book.say("party.one")
    return book.say("party", party=str(size))
