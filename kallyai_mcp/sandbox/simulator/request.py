"""What a call is for: the fields of a submission and its `instructions` decide it, and nothing
else.

- A task or an instruction that ends with a question mark is asked in a turn of its own, the task
  first, and the callee's next turn is the answer.
- An instruction that names an earlier call refers to the booking that this call left. Another one
  says what to do with it: move it, cancel it, or leave it as it is, whatever the task says. Without
  that one, a date or time moves it, a task or a wish that says "cancel" cancels it, and any other
  leaves it as it is. What is not given, such as the number of people, stays as it was.
- The assistant agrees to another time that the callee offers, unless an instruction forbids it.
"""

from dataclasses import dataclass
from datetime import date, time
from typing import Literal, NamedTuple

from kallyai_mcp.sandbox.simulator.instructions import (
    Instructions,
    Span,
    is_question,
    one_line,
    says_cancel,
)
from kallyai_mcp.sandbox.simulator.optional import if_there
from kallyai_mcp.sandbox.simulator.phrasebook import phone_in_words
from kallyai_mcp.sandbox.simulator.simulated_call import Booking, Slot
from kallyai_mcp.sandbox.simulator.submission import Submission, TaskCategory

Kind = Literal["booking", "move", "cancel", "task"]
"""A new booking, a change or a cancellation of an earlier one, or anything else, which books
nothing.
"""


@dataclass(frozen=True)
class Request:
    """What the assistant asks for.

    Texts are on one line; `number` and `phone` are in the format of their country.
    `more_questions` are those beside a task that is one. `asked` is None without a day, `earlier`
    if the callee does not know the booking. `keeps_time`: no other day or time may be agreed to.
    `discloses`: the assistant is to say that it is an AI.
    """

    kind: Kind
    category: TaskCategory
    number: str
    description: str
    more_questions: tuple[str, ...]
    wishes: tuple[str, ...]
    business: str | None
    name: str | None
    phone: str | None
    party: int | None
    asked: Slot | None
    at: time | None
    departs: date | None
    other_times: tuple[Span, ...]
    preference: str | None
    urgent: bool
    earlier: Booking | None
    keeps_time: bool
    discloses: bool

    @property
    def is_question(self) -> bool:
        """Whether the call is about one question, its task."""
        return self.kind == "task" and is_question(self.description)

    @property
    def questions(self) -> tuple[str, ...]:
        """Every question of the call, in order; a task that is one comes first."""
        if self.is_question:
            return (self.description, *self.more_questions)
        return self.more_questions

    @property
    def is_stay(self) -> bool:
        """Whether it is about a room, where only the days count."""
        return self.category is TaskCategory.HOTEL

    @property
    def booked_name(self) -> str | None:
        """The name under which the callee finds the booking: that of the earlier one first."""
        if self.earlier is None:
            return self.name
        return self.earlier.name or self.name

    def time_at(self, slot: Slot) -> time | None:
        """The time of a day and time, where it counts: not for a room."""
        if self.is_stay:
            return None
        return slot.at

    def leaves_open(self, slot: Slot) -> bool:
        """Whether a day still needs a time."""
        return slot.at is None and not self.is_stay

    def allows(self, slot: Slot) -> bool:
        """Whether the assistant may agree to a day and time."""
        return not self.keeps_time or self._is_as_asked(slot) or self._is_other_time(slot)

    def _is_as_asked(self, slot: Slot) -> bool:
        if self.kind == "move":
            return slot == self.asked
        fits_time = self.at is None or self.is_stay or slot.at == self.at
        return fits_time and self._fits_day(slot)

    def _is_other_time(self, slot: Slot) -> bool:
        at = slot.at
        if at is None or not self._fits_day(slot):
            return False
        return any(span.has(at) for span in self.other_times)

    def _fits_day(self, slot: Slot) -> bool:
        return self.asked is None or slot.day == self.asked.day


class _Booked(NamedTuple):
    """What is booked: as the submission says, and otherwise as it was."""

    category: TaskCategory
    name: str | None
    party: int | None


def parse_request(
    submission: Submission,
    bookings: tuple[Booking, ...],
    *,
    ignores_instructions: bool,
    is_booked: bool,
) -> Request:
    """Return what the call is for; `validation.check` has accepted the submission.

    `ignores_instructions`: the assistant agrees to what is forbidden. `is_booked`: the callee will
    name a day or time.
    """
    instructions = Instructions.read(submission.additional_instructions or ())
    description = _description(submission.task_description)
    earlier = _booking_of(instructions.call_ids, bookings)
    if instructions.only_asks and not ignores_instructions:
        kind: Kind = "task"
    elif instructions.call_ids:
        kind = _kind_about_booking(submission, description, instructions)
    else:
        kind = _kind_without_booking(submission, description, is_booked=is_booked)
    asked = _asked(kind, submission, earlier)
    what = _booked(submission, earlier)
    return Request(
        kind=kind,
        category=what.category,
        number=phone_in_words(submission.number),
        description=description,
        more_questions=tuple(instructions.questions),
        wishes=instructions.wishes,
        business=one_line(submission.business_name),
        name=what.name,
        phone=_callback_number(submission),
        party=what.party,
        asked=asked,
        at=_time_of(submission),
        departs=_departure(what.category, instructions, earlier, asked),
        other_times=instructions.other_times,
        preference=one_line(submission.time_preference_text),
        urgent=bool(submission.is_urgent),
        earlier=earlier,
        keeps_time=instructions.keeps_time and not ignores_instructions,
        discloses=instructions.discloses,
    )


def _description(task: str) -> str:
    """The task on one line, without its last period; a task of periods alone stays."""
    return " ".join(task.split()).rstrip(".") or task


def _kind_about_booking(
    submission: Submission, description: str, instructions: Instructions
) -> Kind:
    """What a call about an earlier booking is for: as an instruction says, else as it seems."""
    match instructions.change:
        case "move" | "cancel" as told:
            return told
        case "ask":
            return "task"
    texts = [description, *instructions.wishes]
    if submission.appointment_date or submission.appointment_time:
        return "move"
    if any(map(says_cancel, texts)):
        return "cancel"
    return "task"


def _kind_without_booking(submission: Submission, description: str, *, is_booked: bool) -> Kind:
    if is_question(description):
        return "task"
    if submission.appointment_date is not None or is_booked:
        return "booking"
    return "task"


def _booking_of(call_ids: tuple[str, ...], bookings: tuple[Booking, ...]) -> Booking | None:
    """Return the newest state of the booking of one of these calls; None if there is none or it was
    canceled.
    """
    newest = {each.booking_id: each for each in bookings}  # the last state of a booking stays
    for each in bookings:
        if each.call_id in call_ids:
            booking = newest[each.booking_id]
            return None if booking.is_canceled else booking
    return None


def _booked(submission: Submission, earlier: Booking | None) -> _Booked:
    given = _Booked(submission.task_category, one_line(submission.user_name), submission.party_size)
    if earlier is None:
        return given
    return _Booked(earlier.category, given.name or earlier.name, given.party or earlier.party)


def _asked(kind: Kind, submission: Submission, earlier: Booking | None) -> Slot | None:
    """The day and time asked for; a move keeps the one that is not given."""
    day = submission.appointment_date
    if kind == "move" and earlier is not None:
        return earlier.slot.changed_to(day, _time_of(submission))
    if day is None:
        return None
    return Slot(day, _time_of(submission))


def _time_of(submission: Submission) -> time | None:
    return if_there(time.fromisoformat, submission.appointment_time)


def _departure(
    category: TaskCategory, instructions: Instructions, earlier: Booking | None, asked: Slot | None
) -> date | None:
    """When guests leave: as an instruction says, else after as many nights as before."""
    if category is TaskCategory.HOTEL and instructions.departure is not None:
        return instructions.departure
    if earlier is None or asked is None:
        return None
    return earlier.departure_from(asked.day)


def _callback_number(submission: Submission) -> str | None:
    return if_there(phone_in_words, one_line(submission.user_phone))
