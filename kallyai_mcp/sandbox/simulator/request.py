"""Interprets a submission: the texts that the assistant says, and whether it is a booking or an inquiry."""

import re
from dataclasses import dataclass
from datetime import date, time
from typing import Final, Literal

from kallyai_mcp.sandbox.simulator.phrasebook import phone_in_words
from kallyai_mcp.sandbox.simulator.submission import Submission, TaskCategory

Topic = Literal["cancel", "change", "hours", "price", "ready", "stock", "place", "yes", "will_do"]

_POLITE: Final = (
    r"^\W*(?:(?:please|por favor|call (?:them )?(?:and|to)|llam[ae] (?:y|para)|i(?:'d| would) like to"
    r"|ask (?:them )?to)\W+)*"
)


def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_CANCEL: Final = _regex(_POLITE + r"(?:cancel\w*|anul[ae]\w*)\b")
_CHANGE: Final = _regex(_POLITE + r"(?:change|move|reschedule|postpone|cambi[ae]\w*|mueve|mover|aplaz\w+|pospon\w+)\b")
_BOOKING: Final = _regex(
    r"\b(?:book\w*|reserv\w*|tables?|rooms?|appointments?|schedul\w+|mesas?|habitaci[oó]n\w*|citas?)\b"
)
_QUESTION: Final = _regex(
    _POLITE + r"(?:ask|check|find out|confirm|inquire|enquire|pregunt\w+|consult\w+|averigu\w+)\b|[?¿]"
)
_TOPICS: Final[tuple[tuple[Topic, re.Pattern[str]], ...]] = (
    ("hours", _regex(r"\b(?:opening|open|hours|close[sd]?|closing|horarios?|abr\w+|cierr\w+)\b")),
    ("price", _regex(r"\b(?:prices?|costs?|how much|quote|precios?|cu[aá]nto|presupuesto|tarifas?)\b")),
    ("ready", _regex(r"\b(?:ready|orders?|pick\s?up|collect|repair\w*|list[oa]s?|pedidos?|recoger)\b")),
    ("stock", _regex(r"\b(?:stock|available|availability|quedan?|disponibles?|existencias)\b")),
    ("place", _regex(r"\b(?:park|parking|address|where|directions|aparca\w*|direcci[oó]n|d[oó]nde)\b")),
)

_KEEPS_TIME: Final = _regex(r"(?:do not|don't|never) agree to an?\w* .*\b(?:day|time)|no acept\w+ .*\b(?:d[ií]a|hora)")
_FOR_THE_ASSISTANT: Final = _regex(_KEEPS_TIME.pattern + r"|.*\b(?:agree to the closest|acepta los m[aá]s cercanos)")
"""Instructions about other times: the assistant follows them, and does not read them out."""


@dataclass(frozen=True)
class Request:
    """A submission in the form in which the assistant says it: one-line texts, and numbers in their country's format.

    Attributes:
        number: The number called.
        description: `task_description` on one line.
        extras: The `additional_instructions` that are not empty.
        is_inquiry: True for a question or a task that books nothing, False for a booking.
        topic: The topic of the answer to an inquiry.
        keeps_time: An instruction says that no other day or time may be agreed to.
    """

    category: TaskCategory
    number: str
    description: str
    business: str | None
    name: str | None
    phone: str | None
    party: int | None
    day: date | None
    at: time | None
    preference: str | None
    extras: tuple[str, ...]
    urgent: bool
    is_inquiry: bool
    topic: Topic
    keeps_time: bool = False

    @property
    def missing(self) -> str | None:
        """What the callee has to ask for before it can book: `when`, `party`, `when_party`, or None."""
        wants_party = self.category in {TaskCategory.RESTAURANT, TaskCategory.HOTEL} and self.party is None
        return "_".join(["when"] * (self.day is None) + ["party"] * wants_party) or None


def parse_request(submission: Submission) -> Request:
    """Interpret `submission`.

    Raises:
        ValueError: There is no number to call, or `appointment_time` is not HH:MM.
    """
    if not submission.respondent_phone:
        raise ValueError("no number to call")
    description = _tidy(submission.task_description) or submission.task_description
    extras = [extra for text in submission.additional_instructions or () if (extra := _tidy(text))]
    phone = _tidy(submission.user_phone)
    return Request(
        category=submission.task_category,
        number=phone_in_words(submission.respondent_phone),
        description=description,
        business=_tidy(submission.business_name),
        name=_tidy(submission.user_name),
        phone=phone and phone_in_words(phone),
        party=submission.party_size,
        day=submission.appointment_date,
        at=_clock_time(submission.appointment_time),
        preference=_tidy(submission.time_preference_text),
        extras=tuple(extra for extra in extras if not _FOR_THE_ASSISTANT.match(extra)),
        urgent=bool(submission.is_urgent),
        is_inquiry=_is_inquiry(submission, description),
        topic=_topic(description),
        keeps_time=any(_KEEPS_TIME.match(extra) for extra in extras),
    )


def _tidy(text: str | None) -> str | None:
    return " ".join(text.split()) or None if text is not None else None


def _clock_time(text: str | None) -> time | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d\d:\d\d", text, re.ASCII):
        raise ValueError(f"{text!r} is not a time in the format HH:MM")
    return time.fromisoformat(text)


def _is_inquiry(submission: Submission, description: str) -> bool:
    if _CANCEL.search(description) or _CHANGE.search(description):
        return True
    if submission.appointment_date is not None:
        return bool(_QUESTION.search(description)) and not _BOOKING.search(description)
    if submission.task_category is TaskCategory.GENERAL:
        return True
    return submission.party_size is None and not _BOOKING.search(description)


def _topic(description: str) -> Topic:
    if _CANCEL.search(description):
        return "cancel"
    if _CHANGE.search(description):
        return "change"
    for topic, pattern in _TOPICS:
        if pattern.search(description):
            return topic
    return "yes" if _QUESTION.search(description) else "will_do"
