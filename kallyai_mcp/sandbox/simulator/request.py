"""Interprets a submission: the texts that the assistant says, and what the call is for."""

import re
from dataclasses import dataclass
from datetime import date, time
from typing import Final, Literal

from kallyai_mcp.sandbox.simulator.clauses import POLITE, TELLS, clauses, folded
from kallyai_mcp.sandbox.simulator.phrasebook import phone_in_words
from kallyai_mcp.sandbox.simulator.submission import Submission, TaskCategory
from kallyai_mcp.sandbox.simulator.times_in_text import day_and_time, delay_in, new_day_and_time
from kallyai_mcp.sandbox.simulator.wishes import THINGS, is_booking, people_in

Kind = Literal["booking", "question", "cancel", "change", "order", "task"]
"""What a call is for: a booking, a question, canceling or changing a booking, an order, or anything else."""


def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_KINDS: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    ("cancel", _regex(POLITE + r"(?:cancel\w*|anul[ae]\w*)\b")),
    ("change", _regex(
        POLITE + r"(?:change|move|reschedule|postpone|cambi[ae]\w*|muev[ae]\w*|mover|apla[zc]\w+|pospon\w+)\b"
    )),
    ("question", _regex(POLITE + r"(?:(?:tell|let) me|know|dime|avisame|saber)\b")),
    ("task", TELLS),
    ("question", _regex(
        POLITE
        + r"(?:(?:ask|see (?:if|whether)|pregunt\w+)\b(?! (?:them |him |her |the \w+ )?to\b)"
        rf"(?! (?:them )?(?:for|por) (?:an? |the |una? )?(?:\w+ )?{THINGS})"
        r"|(?:check|find out|confirm|inquire|enquire|consult\w+|averigu\w+|compru?eb\w+)\b)"
    )),
    ("order", _regex(
        POLITE + r"(?:order|buy|pre-?order|pid[ea]\w*|pedir|encarg[aou]\w*|compr[ae]\w*)\b"
        rf"(?! (?:an? |una? )?(?:\w+ )?(?:{THINGS}|presupuesto|informacion))"
    )),
)  # fmt: skip
"""What a description is for, by how it begins."""
_BOOKABLE: Final = _regex(rf"\b(?:book\w*|reserv\w*|schedul\w+|{THINGS})\b")
_OTHER_CHANGE: Final = _regex(POLITE + r"(?:change|cambi\w*)\b[^,;]*\b(?:to|into|al?|por)\b")
"""A change of something else than the time, such as "change it to a window table"."""
_DELIVERY: Final = _regex(r"\b(?:deliver\w*|ship\w*|send|entreg\w*|env[ií]\w*|lleven?|domicilio)\b")
_DIRECT_QUESTION: Final = _regex(r"[?¿]")

_KEEPS_TIME: Final = _regex(r"(?:do not|don't|never) agree to an?\w* .*\b(?:day|time)|no acept\w+ .*\b(?:d[ií]a|hora)")
_ACCEPTS_TIME: Final = _regex(r".*\b(?:agree to the closest|acepta los m[aá]s cercanos)")
_NO_MESSAGE: Final = _regex(
    r".*\b(?:(?:do not|don't|never) leave (?:a|any) (?:message|voicemail)|no dejes? (?:un |ning[uú]n )?mensaje)"
)
_NO_PHONE: Final = _regex(
    r".*\b(?:(?:do not|don't|never) (?:give|share|tell|mention)\b.*\b(?:phone|number)"
    r"|no (?:des|digas|compartas)\b.*\b(?:tel[eé]fono|n[uú]mero))"
)
_NO_NAME: Final = _regex(
    r".*\b(?:(?:do not|don't|never) (?:give|share|tell|mention|say|use)\b.*\bname|no (?:des|digas|uses)\b.*\bnombre)"
)
_MANNERS: Final = _regex(
    r"(?:please |por favor,? )?(?:be|speak|talk|sound|stay|hold|insist|hang up|sé|habla|insiste|espera"
    r"|(?:do not|don't|never) (?:say|tell|mention|reveal|share|give|discuss|ask|book|accept|agree|pay|order|hang|argue"
    r"|leave|confirm|call)|no (?:digas|menciones|des|aceptes|pagues|reserves|preguntes|cuelgues))\b"
)
_ONLY_ASKS: Final = _regex(r"(?:please |por favor,? )?(?:(?:only|just) ask|s[oó]lo pregunt\w+)\b")
_FOR_THE_ASSISTANT: Final = (_KEEPS_TIME, _ACCEPTS_TIME, _NO_MESSAGE, _NO_PHONE, _NO_NAME, _ONLY_ASKS, _MANNERS)
"""Instructions that the assistant follows and does not pass on."""


@dataclass(frozen=True)
class Request:
    """A submission in the form in which the assistant says it: one-line texts, and numbers in their country's format.

    Attributes:
        number: The number called.
        description: `task_description` on one line, without `questions`.
        extras: The `additional_instructions` to pass on.
        questions: The `additional_instructions` that are questions to ask, and those in the task of another kind.
        kind: What the call is for.
        names_day: The description names the day or the time.
        is_delivered: The ordered things should be delivered.
        needs_time: A booking should be moved, and the submission does not name the new time.
        keeps_time: An instruction says that no other day or time may be agreed to.
        leaves_no_message: An instruction says that no message may be left.
        tells: The task only tells the callee something.
        only_asks: An instruction says that nothing may be agreed to.
        keeps_name: An instruction says that the user's name may not be given.
        keeps_phone: An instruction says that the user's number may not be given.
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
    questions: tuple[str, ...]
    urgent: bool
    kind: Kind
    names_day: bool
    is_delivered: bool
    needs_time: bool
    keeps_time: bool
    tells: bool
    only_asks: bool
    leaves_no_message: bool
    keeps_name: bool
    keeps_phone: bool

    @property
    def shared_phone(self) -> str | None:
        """The user's number, if the assistant may give it."""
        return None if self.keeps_phone else self.phone

    @property
    def missing(self) -> str | None:
        """What the callee has to ask for before it can book: `when`, `party`, `when_party`, or None."""
        wants_party = self.category in {TaskCategory.RESTAURANT, TaskCategory.HOTEL} and self.party is None
        return "_".join(["when"] * (self.day is None) + ["party"] * wants_party) or None


def parse_request(submission: Submission, today: date, *, ignores_instructions: bool = False) -> Request:
    """Interpret `submission`.

    Args:
        submission: The submission.
        today: The user's day.
        ignores_instructions: The assistant does not follow the instructions that it understands.

    Raises:
        ValueError: There is no number to call, or `appointment_time` is not HH:MM.
    """
    if not submission.respondent_phone:
        raise ValueError("no number to call")
    description = _tidy(submission.task_description) or submission.task_description
    kind = _kind_of(description) or _kind_by_fields(submission, description)
    asked = [each for each in clauses(description)[1:] if kind != "question" and _kind_of(each) == "question"]
    if asked:
        description = ". ".join(each.rstrip(".") for each in clauses(description) if each not in asked)
    given = [text for each in submission.additional_instructions or () if (text := _tidy(each))]
    followed = [] if ignores_instructions else given
    to_pass_on = [text for text in given if not any(each.match(text) for each in _FOR_THE_ASSISTANT)]
    questions = [text for text in to_pass_on if _kind_of(text) == "question"]
    find = {"booking": day_and_time, "change": new_day_and_time}.get(kind)
    said_day, said_time = find(description, today) if find is not None else (None, None)
    day, at = submission.appointment_date or said_day, _clock_time(submission.appointment_time) or said_time
    phone = _tidy(submission.user_phone)
    keeps_name = any(_NO_NAME.match(text) for text in followed)
    return Request(
        category=submission.task_category,
        number=phone_in_words(submission.respondent_phone),
        description=description,
        business=_tidy(submission.business_name),
        name=None if keeps_name else _tidy(submission.user_name),
        phone=phone and phone_in_words(phone),
        party=submission.party_size or (people_in(description) if kind == "booking" else None),
        day=day,
        at=at,
        preference=_tidy(submission.time_preference_text),
        extras=tuple(text for text in to_pass_on if text not in questions),
        questions=(*asked, *questions),
        urgent=bool(submission.is_urgent),
        tells=any(TELLS.match(folded(each)) for each in clauses(description)),
        kind=kind,
        names_day=any(day_and_time(description, today)),
        is_delivered=_DELIVERY.search(description) is not None,
        needs_time=kind == "change" and not (day or at or _changes_more_than_time(description)),
        keeps_time=any(_KEEPS_TIME.match(text) for text in followed),
        only_asks=any(_ONLY_ASKS.match(text) for text in followed),
        leaves_no_message=any(_NO_MESSAGE.match(text) for text in followed),
        keeps_name=keeps_name,
        keeps_phone=any(_NO_PHONE.match(text) for text in followed),
    )


def _changes_more_than_time(description: str) -> bool:
    return _OTHER_CHANGE.match(folded(description)) is not None and delay_in(description) is None


def _tidy(text: str | None) -> str | None:
    return " ".join(text.split()) or None if text is not None else None


def _clock_time(text: str | None) -> time | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d\d:\d\d", text, re.ASCII):
        raise ValueError(f"{text!r} is not a time in the format HH:MM")
    return time.fromisoformat(text)


def _kind_of(description: str) -> Kind | None:
    """Return what the first clause is for that says it; None if none does."""
    for task in clauses(description):
        kind = next((kind for kind, pattern in _KINDS if pattern.search(folded(task))), None)
        if kind is not None or is_booking(task):
            return kind or "booking"
    asks = _DIRECT_QUESTION.search(description) and not _BOOKABLE.search(description)
    return "question" if asks else None


def _kind_by_fields(submission: Submission, description: str) -> Kind:
    if submission.appointment_date is not None:
        return "booking"
    if submission.task_category is TaskCategory.GENERAL:
        return "question" if _DIRECT_QUESTION.search(description) else "task"
    return "booking" if submission.party_size is not None or _BOOKABLE.search(description) else "task"
