"""The additional instructions of a submission: what each of them means for the call.

- One that ends with a question mark is a question.
- One that names the `call_id` of an earlier call, anywhere in the text, is about the booking that
  this call left.
- One of `CHANGES` says what a call about a booking is for: to move it, to cancel it, or anything
  else, after which it stays as it was.
- `Departure: 2026-11-30.` or `Salida: 2026-11-30.` is when the guests of a hotel leave.
- `KEEPS_TIME` says that no other day or time may be agreed to. `ONLY_ASKS` says that nothing may
  be agreed to.
- `If that time is taken, agree to the first of these that is free: 10:00-12:00, 15:00`
  (`Si esa hora no está libre, acepta la primera de estas que lo esté:`), or other words before the
  colon, allows these times on the day asked for, and no others.
- One that begins with "Say" or "Tell" ("Di", "Diga") and names an AI lets the assistant say that it
  is one. Otherwise it does not.
- Every other one is a wish that the callee is told, unless it begins as a limit does: "Do not",
  "Never", "Only", "If".
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, time
from itertools import chain, filterfalse
from typing import Final, Literal, NamedTuple, Self

KEEPS_TIME: Final = frozenset(
    {
        "Do not agree to a day or time other than the one asked for.",
        "No aceptes un día ni una hora distintos de los pedidos.",
    }
)
"""Forbids another day or time. Without it, the assistant agrees to the closest one."""

ONLY_ASKS: Final = frozenset(
    {
        "Only ask. Do not book, order, or agree to anything.",
        "Solo pregunta. No reserves, no pidas y no aceptes nada.",
    }
)
"""The instruction that forbids every agreement."""

_DISCLOSES: Final = re.compile(
    r"(?:say|tell|di|dile|diga)\b.*\b(?:an AI|inteligencia artificial|una IA)\b", re.IGNORECASE
)
CHANGES: Final[dict[str, Literal["move", "cancel", "ask"]]] = {
    "Move that booking to the new day and time. Keep everything else about it.": "move",
    "Cambia esa reserva al nuevo día y a la nueva hora. Mantén todo lo demás.": "move",
    "Cancel that booking. Make no other one.": "cancel",
    "Cancela esa reserva. No hagas ninguna otra.": "cancel",
    "Only do what the task says about that booking. Do not cancel it, and do not agree to another "
    "day or time for it.": "ask",
    "Haz con esa reserva solo lo que dice la tarea. No la canceles, y no aceptes otro día ni otra "
    "hora.": "ask",
}
"""What a call about a booking is for, by the instruction that says it."""

_DEPARTURE: Final = re.compile(r"(?:Departure|Salida): (\d{4}-\d\d-\d\d)\.?", re.ASCII)
_OTHER_TIMES: Final = re.compile(
    r"(?:If that time is taken, agree to|Si esa hora no está libre, acepta) [^:]+: (.+)"
)
_SPAN: Final = re.compile(r"([0-2]?\d:[0-5]\d)(?: ?[-\u2013] ?([0-2]?\d:[0-5]\d))?", re.ASCII)
_LIMIT: Final = re.compile(
    r"(?:do not|don't|never|nunca|no (?:aceptes|reserves)|only|solo|if|si)\b", re.IGNORECASE
)
_PART_OF_SENTENCE: Final = re.compile(r"[.,;:!?]")
_CANCELS: Final = re.compile(
    r"\b(?:cancel(?:s|ing)?|call(?:s|ing)? off|cancel(?:a|ar|e|es)|anul(?:a|ar|e|es))\b",
    re.IGNORECASE,
)
_NOT: Final = re.compile(r"\b(?:not|never|no|nunca|sin|without)\b|n['\u2019]t\b", re.IGNORECASE)
_CALL_ID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)


class Span(NamedTuple):
    """Times that may be agreed to, from the first to the last one, in the form HH:MM."""

    first: str
    last: str

    def has(self, at: time) -> bool:
        """Whether a time is one of them."""
        return self.first <= f"{at:%H:%M}" <= self.last


@dataclass(frozen=True)
class Instructions:
    """The instructions of one call, each on one line."""

    texts: tuple[str, ...]

    @classmethod
    def read(cls, given: Sequence[str]) -> Self:
        """Those of a submission; blank ones are left out."""
        return cls(tuple(filter(None, map(one_line, given))))

    @property
    def questions(self) -> list[str]:
        """What the callee is asked, in order."""
        return list(filter(is_question, self.texts))

    @property
    def wishes(self) -> tuple[str, ...]:
        """What the callee is told."""
        return tuple(text.rstrip(".") for text in filterfalse(_is_more_than_wish, self.texts))

    @property
    def call_ids(self) -> tuple[str, ...]:
        """The ids of earlier calls, in lower case."""
        wishes = filterfalse(is_question, self.texts)
        return tuple(chain.from_iterable(_CALL_ID.findall(text.lower()) for text in wishes))

    @property
    def change(self) -> Literal["move", "cancel", "ask"] | None:
        """What the call is for that is about a booking; None if no instruction says it."""
        return next((CHANGES[text] for text in self.texts if text in CHANGES), None)

    @property
    def departure(self) -> date | None:
        """The day of departure; None without one, or if there is no such day."""
        named = next(filter(None, map(_DEPARTURE.fullmatch, self.texts)), None)
        if named is not None:
            with suppress(ValueError):
                return date.fromisoformat(named[1])
        return None

    @property
    def other_times(self) -> tuple[Span, ...]:
        """The times that may be agreed to in place of the one asked for."""
        lists = filter(None, map(_OTHER_TIMES.fullmatch, self.texts))
        return tuple(chain.from_iterable(_spans(found[1]) for found in lists))

    @property
    def only_asks(self) -> bool:
        """Whether nothing may be agreed to."""
        return not ONLY_ASKS.isdisjoint(self.texts)

    @property
    def discloses(self) -> bool:
        """Whether the assistant is to say that it is an AI."""
        return any(map(_DISCLOSES.match, self.texts))

    @property
    def keeps_time(self) -> bool:
        """Whether no time may be agreed to but the one asked for, and `other_times`."""
        forbids_others = not KEEPS_TIME.isdisjoint(self.texts)
        return forbids_others or bool(self.other_times)


def one_line(text: str | None) -> str | None:
    """Return `text` with single spaces; None if nothing is left."""
    if text is None:
        return None
    return " ".join(text.split()) or None


def is_question(text: str) -> bool:
    """Whether a task or an instruction asks the callee something."""
    return text.endswith("?")


def says_cancel(text: str) -> bool:
    """Whether a part of a text tells the assistant to cancel something, without a "not"."""
    return any(map(_cancels, _PART_OF_SENTENCE.split(text)))


def _cancels(part: str) -> bool:
    is_denied = _NOT.search(part) is not None
    return _CANCELS.search(part) is not None and not is_denied


def _is_more_than_wish(text: str) -> bool:
    """Whether an instruction is a question, a reference, a departure, or a limit, or says what the
    call is for, or what the assistant is to say of itself.
    """
    if is_question(text) or text in CHANGES:
        return True
    tests = (_CALL_ID.search, _DEPARTURE.fullmatch, _LIMIT.match, _DISCLOSES.match)
    return any(test(text) for test in tests)


def _spans(text: str) -> list[Span]:
    """The times in a list such as `10:00-12:00, 15:00`; a single time is its own last one."""
    return [Span(first.zfill(5), (last or first).zfill(5)) for first, last in _SPAN.findall(text)]
