"""What a call is for. The fields of a submission decide it, and some forms of its instructions; nothing else does.

- An instruction that ends with a question mark is a question. So is a `task_description` that does, which comes first.
  Each is asked in a turn of its own, in order, and the callee's next turn is the answer.
- One that names the `call_id` of an earlier call, anywhere in the text, refers to the booking that this call left: a
  date or time moves it. Without either, a task or a wish that says "cancel" cancels it, and any other leaves it as it
  is. What is not given, such as the number of people, stays as it was.
- `Departure: 2026-11-30.` or `Salida: 2026-11-30.` is when the guests of a hotel leave. The calendar event ends then.
- `KEEPS_TIME` says that no other day or time may be agreed to. Without it, the assistant agrees to the one that the
  callee offers. `ONLY_ASKS` says that nothing may be agreed to.
- `If that time is taken, agree to one of these: 10:00-12:00, 15:00` (`Si esa hora no está libre, acepta una de estas:`)
  allows these times on the day asked for, and no others.
- Every other one is a wish that the callee is told, unless it begins as a limit does: "Do not", "Never", "Only", "If".
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Literal

from kallyai_mcp.sandbox.simulator.phrasebook import phone_in_words
from kallyai_mcp.sandbox.simulator.simulated_call import Booking, Slot
from kallyai_mcp.sandbox.simulator.submission import Submission, TaskCategory

Kind = Literal["booking", "move", "cancel", "task"]
"""A new booking, a change or a cancellation of an earlier one, or anything else, which books nothing."""

KEEPS_TIME: Final = frozenset(
    {
        "Do not agree to a day or time other than the one asked for.",
        "No aceptes un día ni una hora distintos de los pedidos.",
    }
)
"""The instruction that forbids another day or time. Without it, the assistant agrees to the closest one."""

ONLY_ASKS: Final = frozenset(
    {
        "Only ask. Do not book, order, or agree to anything.",
        "Solo pregunta. No reserves, no pidas y no aceptes nada.",
    }
)
"""The instruction that forbids every agreement."""

_DEPARTURE: Final = re.compile(r"(?:Departure|Salida): (\d{4}-\d\d-\d\d)\.?", re.ASCII)
_OTHER_TIMES: Final = re.compile(r"(?:If that time is taken, agree to|Si esa hora no está libre, acepta) [^:]+: (.+)")
_SPAN: Final = re.compile(r"([0-2]?\d:[0-5]\d)(?: ?[-\u2013] ?([0-2]?\d:[0-5]\d))?", re.ASCII)
_LIMIT: Final = re.compile(r"(?:do not|don't|never|nunca|no (?:aceptes|reserves)|only|solo|if|si)\b", re.IGNORECASE)
_PART_OF_SENTENCE: Final = re.compile(r"[.,;:!?]")
_CANCELS: Final = re.compile(
    r"\b(?:cancel(?:s|ing)?|call(?:s|ing)? off|cancel(?:a|ar|e|es)|anul(?:a|ar|e|es))\b", re.IGNORECASE
)
_NOT: Final = re.compile(r"\b(?:not|never|no|nunca|sin|without)\b|n['\u2019]t\b", re.IGNORECASE)
_CALL_ID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_USUAL: Final = {
    TaskCategory.RESTAURANT: time(20, 0),
    TaskCategory.CLINIC: time(9, 40),
    TaskCategory.GENERAL: time(11, 0),
}
_CLOCK: Final = re.compile(r"\b(\d{1,2})(?:[:.](\d\d))? ?(am|pm)?\b", re.IGNORECASE)
_PARTS_OF_DAY: Final = (
    (re.compile(r"\b(?:evening|night|noche)\b", re.IGNORECASE), time(20, 30)),
    (re.compile(r"\b(?:afternoon|tarde)\b", re.IGNORECASE), time(16, 0)),
    (re.compile(r"\b(?:morning|mañana)\b", re.IGNORECASE), time(10, 30)),
)


@dataclass(frozen=True)
class Request:
    """What the assistant asks for. Texts are on one line; `number` and `phone` are in the format of their country.

    `asked` is None without a day, `earlier` if the callee does not know the booking. `keeps_time`: no other day or time
    may be agreed to.
    """

    kind: Kind
    category: TaskCategory
    number: str
    description: str
    questions: tuple[str, ...]
    wishes: tuple[str, ...]
    business: str | None
    name: str | None
    phone: str | None
    party: int | None
    asked: Slot | None
    at: time | None
    departs: date | None
    other_times: tuple[tuple[str, str], ...]
    preference: str | None
    urgent: bool
    earlier: Booking | None
    keeps_time: bool


def parse_request(
    submission: Submission, bookings: tuple[Booking, ...], *, ignores_instructions: bool, is_booked: bool
) -> Request:
    """Return what the call is for; `validation.check` has accepted the submission."""
    description = (one_line(submission.task_description) or "").rstrip(".") or submission.task_description
    instructions = [text for each in submission.additional_instructions or () if (text := one_line(each))]
    questions = [text for text in instructions if text.endswith("?")]
    ids = [id_ for text in instructions if text not in questions for id_ in _CALL_ID.findall(text.lower())]
    earlier = _booking_of(ids, bookings)
    day = submission.appointment_date
    at = time.fromisoformat(submission.appointment_time) if submission.appointment_time is not None else None
    only_asks = not ignores_instructions and not ONLY_ASKS.isdisjoint(instructions)
    kind: Kind = "task"
    if ids and not only_asks:
        kind = _kind_about_booking(submission, [description, *filter(_is_wish, instructions)])
    elif not only_asks and (day or is_booked) and not description.endswith("?"):
        kind = "booking"
    if kind == "task" and description.endswith("?"):
        questions.insert(0, description)
    asked = Slot(day, at) if day is not None else None
    if kind == "move" and earlier is not None:
        asked = Slot(day or earlier.slot.day, at or earlier.slot.at)
    category = submission.task_category if earlier is None else earlier.category
    departs = _departure(instructions) if category is TaskCategory.HOTEL else None
    if departs is None and earlier is not None and earlier.departs is not None and asked is not None:
        departs = asked.day + (earlier.departs - earlier.slot.day)
    phone, other_times = one_line(submission.user_phone), _other_times(instructions)
    return Request(
        kind=kind,
        category=category,
        number=phone_in_words(submission.respondent_phone or ""),
        description=description,
        questions=tuple(questions),
        wishes=tuple(text.rstrip(".") for text in instructions if _is_wish(text)),
        business=one_line(submission.business_name),
        name=one_line(submission.user_name) or (earlier.name if earlier is not None else None),
        phone=phone and phone_in_words(phone),
        party=submission.party_size or (earlier.party if earlier is not None else None),
        asked=asked,
        at=at,
        departs=departs,
        other_times=other_times,
        preference=one_line(submission.time_preference_text),
        urgent=bool(submission.is_urgent),
        earlier=earlier,
        keeps_time=not ignores_instructions and (not KEEPS_TIME.isdisjoint(instructions) or bool(other_times)),
    )


def _kind_about_booking(submission: Submission, texts: list[str]) -> Kind:
    """Return what a call about an earlier booking is for; `texts` are its task and the wishes."""
    if submission.appointment_date or submission.appointment_time:
        return "move"
    return "cancel" if any(map(_says_cancel, texts)) else "task"


def _says_cancel(text: str) -> bool:
    """Whether a text tells the assistant to cancel something: a part of the sentence does, without a "not"."""
    parts = _PART_OF_SENTENCE.split(text)
    return any(_CANCELS.search(part) is not None and _NOT.search(part) is None for part in parts)


def _is_wish(text: str) -> bool:
    is_form = text.endswith("?") or _CALL_ID.search(text) or _DEPARTURE.fullmatch(text) or _LIMIT.match(text)
    return not is_form


def _booking_of(ids: list[str], bookings: tuple[Booking, ...]) -> Booking | None:
    """Return the newest state of the booking of one of these calls; None if there is none or it was canceled."""
    booking_id = next((each.booking_id for each in bookings if each.call_id in ids), None)
    newest = next((each for each in reversed(bookings) if each.booking_id == booking_id), None)
    return newest if newest is not None and not newest.is_canceled else None


def usual(request: Request, day: date, now: datetime) -> Slot:
    """Return what the callee proposes for a day without a time; the next day if it is too late on this one."""
    if request.category is TaskCategory.HOTEL:
        return Slot(day, None)
    at = request.at or _preferred(request.preference) or _USUAL[request.category]
    earliest = now.replace(tzinfo=None) + timedelta(hours=1)
    return Slot(day if datetime.combine(day, at) >= earliest else day + timedelta(days=1), at)


def alternative(request: Request, now: datetime) -> Slot:
    """Return what the callee offers in place of the time asked for: an hour and a half later, else the next day."""
    if request.asked is None:
        return usual(request, now.date() + timedelta(days=1), now)
    day, at = request.asked
    if at is None or request.category is TaskCategory.HOTEL:
        return usual(request, day + timedelta(days=1), now)
    later = datetime.combine(day, at) + timedelta(minutes=90)
    return Slot(day, later.time()) if later.date() == day else Slot(later.date(), at)


def one_line(text: str | None) -> str | None:
    """Return `text` with single spaces; None if nothing is left."""
    return " ".join(text.split()) or None if text is not None else None


def _other_times(instructions: list[str]) -> tuple[tuple[str, str], ...]:
    """Return the other times that may be agreed to, each as the first and the last one, in the form HH:MM."""
    found = [_OTHER_TIMES.fullmatch(text) for text in instructions]
    spans = [span for each in found if each for span in _SPAN.findall(each[1])]
    return tuple((first.zfill(5), (last or first).zfill(5)) for first, last in spans)


def _departure(instructions: list[str]) -> date | None:
    """Return the day of departure; None if no instruction names one, or names a day that does not exist."""
    for text in instructions:
        if found := _DEPARTURE.fullmatch(text):
            try:
                return date.fromisoformat(found[1])
            except ValueError:
                return None
    return None


def _preferred(preference: str | None) -> time | None:
    """Return the time that a preference names, such as "after 5pm" or "morning"; None for other words."""
    if (clock := _CLOCK.search(preference or "")) and int(clock[1]) < 24 and int(clock[2] or 0) < 60:
        afternoon = 12 if (clock[3] or "").lower() == "pm" and int(clock[1]) < 12 else 0
        return time(int(clock[1]) + afternoon, int(clock[2] or 0))
    return next((at for words, at in _PARTS_OF_DAY if words.search(preference or "")), None)
