"""Times of day as they are said in Spanish: "las nueve de la noche", "la una y media de la tarde"."""

from datetime import time
from typing import Final

_WORDS: Final = (
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete "
    "dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis veintisiete "
    "veintiocho veintinueve"
)
_SMALL: Final = tuple(_WORDS.split())
_TENS: Final = {3: "treinta", 4: "cuarenta", 5: "cincuenta"}
_PARTS_OF_DAY: Final = ((6, "de la madrugada"), (12, "de la mañana"), (13, "del mediodía"), (20, "de la tarde"))
"""The hour at which each part of the day ends; the rest of the day is the night."""


def in_words(at: time) -> str:
    """Return a time with its article."""
    hour = at.hour % 12 or 12
    name = "la una" if hour == 1 else f"las {_SMALL[hour]}"
    part = next((name for end, name in _PARTS_OF_DAY if at.hour < end), "de la noche")
    return f"{name}{_and_minutes(at.minute)} {part}"


def _and_minutes(minutes: int) -> str:
    if minutes == 0:
        return ""
    return f" y {({15: 'cuarto', 30: 'media'}).get(minutes) or _number(minutes)}"


def _number(value: int) -> str:
    """Return a number below 60 in words."""
    if value < len(_SMALL):
        return _SMALL[value]
    tens, units = divmod(value, 10)
    return f"{_TENS[tens]} y {_SMALL[units]}" if units else _TENS[tens]
