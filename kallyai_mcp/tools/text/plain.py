"""Formats that all texts share: text from outside, numbers, durations, and times.

Text from outside is written by KallyAI, callees, or clients. It gets into a text of ours only by
the functions here, which clean it, cut it, and quote it. Times have 12 hours, and the year only if
it is not the present one.
"""

import re
import unicodedata
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from kallyai_mcp.api.errors import is_usable
from kallyai_mcp.api.models import Call, Submission, SubmissionEcho
from kallyai_mcp.calls.numbers import for_people, local_time
from kallyai_mcp.settings import Settings

_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of characters that are invisible, but may change how a text looks."""

_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Characters of other categories that are invisible, too. They could hide text that only a machine
reads."""

_QUOTES = str.maketrans(dict.fromkeys('"\u201c\u201d\u201e\u201f\u301d\u301e\uff02', "'"))
"""Every character that looks like a quotation mark."""

_PLAIN_NAME = re.compile(r"[^\W_](?:[^\W_]|[&'\u2019.,/+#@! -]){0,49}")
_SENTENCE_END = re.compile(r"\w{4}\. |! ")
"""The end of a sentence, which a name hardly ever has; "Dr. Ruiz", "St. Mary" don't match."""

_ENDS = (".", "!", "?", "…")
"""The marks at the end of a sentence."""

_MOST_WORDS = 7

_NUMBER = re.compile(r"\+?[0-9 ().-]{1,24}", re.ASCII)

LIMIT = 2_000
"""The most characters of one text from outside."""

CUT_MARK = "[cut]"
_CUT = f"… {CUT_MARK}"
"""The end of a text that was cut."""

HAS_24_HOURS: ContextVar[bool] = ContextVar("HAS_24_HOURS", default=False)
DAY_FIRST: ContextVar[bool] = ContextVar("DAY_FIRST", default=False)
"""What a terminal sets by the user's locale."""


_DAYS = {
    (False, False): "{0:%b} {0.day}, {0.year}",
    (False, True): "{0:%b} {0.day}",
    (True, False): "{0.day} {0:%b} {0.year}",
    (True, True): "{0.day} {0:%b}",
}
"""The form of a day: whether its number comes first, and whether it is in the present year."""


def part(form: str, text: object) -> str:
    """The part of a sentence that has a text, in a form such as " ({})"; "" without a text."""
    return form.format(text) if text else ""


def visible(text: str, limit: int = LIMIT) -> str:
    """`text` without control and invisible characters; it keeps its line breaks.

    It is cut to `limit` characters, and then says so.
    """
    head = text[: 4 * limit]  # more can't be shown, and cleaning it would take time
    if not (head.isascii() and head.isprintable()):
        seen = (char for char in head if char == "\n" or unicodedata.category(char) not in _UNSEEN)
        head = _BLANK.sub("", "".join(seen))
    if len(head) <= limit and len(text) <= 4 * limit:
        return head
    return f"{head[: limit - len(_CUT)]}{_CUT}"


def one_line(text: str, limit: int = LIMIT) -> str:
    """`text` as by `visible`, on one line: each run of white space becomes one space."""
    return visible(" ".join(text.split()), limit).strip()


def visible_throughout(data: Any) -> Any:
    """JSON-like `data` with `visible` applied to each text in it; keys stay as they are."""
    match data:
        case dict():
            return {key: visible_throughout(value) for key, value in data.items()}
        case list():
            return [visible_throughout(value) for value in data]
        case str():
            return visible(data)
    return data


def quoted(text: str, limit: int = LIMIT) -> str:
    """`text` on one line (`one_line`) in quotation marks.

    Quotation marks in it become apostrophes.
    """
    return f'"{one_line(text, limit).translate(_QUOTES)}"'


def named(name: str) -> str:
    """A name from outside, for a sentence of ours; "" for a blank one.

    In quotation marks if it may be more than a name.
    """
    line = one_line(name, 80)
    if not line or _is_surely_name(line):
        return line
    return quoted(line)


def _is_surely_name(line: str) -> bool:
    """Whether a text is short, has no sentence, and has only characters that names have."""
    if len(line.split()) > _MOST_WORDS:
        return False
    if _SENTENCE_END.search(line) is not None:
        return False
    return _PLAIN_NAME.fullmatch(line) is not None


def word(text: str) -> str:
    """An id or a code from outside, in full, because the agent may have to repeat it.

    Quoted if it can't be an id.
    """
    return text if is_usable(text) else quoted(text, 80)


def sentence(text: str) -> str:
    """`text` on one line (`one_line`), with a period unless it ends with a mark.

    The mark may stand before a quotation mark.
    """
    line = one_line(text, LIMIT - 1)
    before_closing_marks = line.rstrip("\"')\u201d\u2019\u00bb")
    if before_closing_marks.endswith(_ENDS):
        return line
    return part("{}.", line)


def duration(seconds: float) -> str:
    """`seconds` as "32 s", "3 min 5 s", "2 h 5 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h{part(' {} min', minutes)}"
    if minutes:
        return f"{minutes} min{part(' {} s', rest)}"
    return f"{rest} s"


def lasted(call: Call) -> str:
    """How long a call lasted; "" if that is not known."""
    if call.duration_seconds is None:
        return ""
    return duration(call.duration_seconds)


def listed(names: Sequence[str]) -> str:
    """Names as a list in a sentence: "day, time, and people"."""
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"


def number(value: float) -> str:
    """`value` with at most one decimal: "165", "12.5"."""
    return f"{value:.1f}".removesuffix(".0")


def zone_of(name: str) -> tzinfo:
    """The time zone with that IANA name; UTC when this machine doesn't know it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def clock(timestamp: str | None) -> str:
    """A transcript's time, "00:03:05", as "3:05".

    "" for a text that is no time, which could be anything.
    """
    time = (timestamp or "").partition(".")[0]
    if not re.fullmatch(r"[\d:]{1,8}", time):
        return ""
    return re.sub(r"^(00:(?=..:))?0?(?=\d)", "", time)


def party_of(submission: Submission | SubmissionEcho) -> str:
    """The callee of a submission, as far as it is known: "Italian Bistro (+1 415-555-1234)"."""
    name = _name_of(submission)
    number = _number_for_people(submission.respondent_phone or "")
    if name:
        return f"{name}{part(' ({})', number)}"
    return number or "the number"


def party_in_row(submission: Submission | SubmissionEcho) -> str:
    """The callee in few characters: "Italian Bistro +1 415-555-1234"."""
    phone = submission.respondent_phone or ""
    if not _NUMBER.fullmatch(phone):
        return party_of(submission)
    return f"{_name_of(submission)} {for_people(phone)}".lstrip()


def _name_of(submission: Submission | SubmissionEcho) -> str:
    return named(submission.business_name or "")


def _number_for_people(phone: str) -> str:
    """A number from outside; quoted if it may be more than a number."""
    if not phone:
        return ""
    if _NUMBER.fullmatch(phone):
        return for_people(phone)
    return quoted(phone, 24)


@dataclass(frozen=True)
class Reader:
    """The user who gets a text, or whose agent does.

    `now` is by the user's clock, and `timezone` an IANA name. If it is not known to be the user's,
    it may be that of a server, and every time is told with its place. If the request named it,
    times at the callee are told by it, too. `schedules`: calls for later can be placed.
    `search_seconds`: how long a lost call is searched for. `is_asked`: the user is asked before a
    call for which there is a reason to ask.
    """

    timezone: str
    now: datetime
    wait_seconds: float = 0
    zone_is_known: bool = True
    schedules: bool = True
    zone_is_named: bool = False
    search_seconds: float = Settings.settle_seconds
    is_asked: bool = True

    def local(self, moment: datetime) -> datetime:
        """`moment` by the reader's clock."""
        return moment.astimezone(zone_of(self.timezone))


def hour(at: datetime | time) -> str:
    """A time of day: "7:00 PM"."""
    if HAS_24_HOURS.get():
        return hour_of_24(at)
    return hour_of_12(at, am="AM", pm="PM")


def hour_of_24(at: datetime | time) -> str:
    """A time of day as "19:00"."""
    return f"{at.hour}:{at.minute:02}"


def hour_of_12(at: datetime | time, *, am: str, pm: str) -> str:
    """A time of day as "7:00 PM", with these names of the halves of the day."""
    half = pm if at.hour >= 12 else am
    return f"{at.hour % 12 or 12}:{at.minute:02} {half}"


def day(moment: date, now: datetime) -> str:
    """The day of `moment`: "Feb 1"."""
    is_this_year = moment.year == now.year
    return _DAYS[DAY_FIRST.get(), is_this_year].format(moment)


def when(moment: datetime, reader: Reader) -> str:
    """`moment` by the reader's clock: "Jan 25 10:30 AM"."""
    return day_and_hour(reader.local(moment), reader.now, in_row=True)


def day_and_hour(start: date | datetime, now: datetime, *, in_row: bool = False) -> str:
    """A day with its time, if it has one: "Fri Nov 27, 7:00 PM", or `in_row` "Nov 27 7:00 PM"."""
    at = hour(start) if isinstance(start, datetime) else ""
    if in_row:
        return f"{day(start, now)} {at}".rstrip()
    return f"{start:%a} {day(start, now)}{part(', {}', at)}"


def time_on(moment: datetime, shown: date, now: datetime) -> str:
    """The time of `moment` in a text that shows a day; with its own day if it is another one."""
    if f"{moment:%Y-%m-%d}" == f"{shown:%Y-%m-%d}":
        return hour(moment)
    return day_and_hour(moment, now)


def city(zone_name: str) -> str:
    """The place in the name of a time zone: "New York"."""
    return zone_name.rpartition("/")[2].replace("_", " ")


def clock_in(zone_name: str) -> str:
    """How a time in a zone is marked: "New York time", or "UTC"."""
    place = city(zone_name)
    return place if place == "UTC" else f"{place} time"


def at_callee(moment: datetime, number: str | None) -> datetime:
    """`moment` by the clock of the callee, whose `number` is in E.164.

    Unchanged if the number does not show it.
    """
    return local_time(number or "", moment) or moment


def is_own_clock(moment: datetime, reader: Reader) -> bool:
    """Whether the reader's clock is known, and shows the same time."""
    own = reader.local(moment)
    return reader.zone_is_known and moment.replace(tzinfo=None) == own.replace(tzinfo=None)


def with_place(
    text: str,
    moment: date | datetime,
    number: str | None,
    zone_name: str,
    reader: Reader,
) -> str:
    """`text` about `moment`, with the place of its clock unless the reader's shows the same.

    The clock is that of the callee, whose `number` is in E.164; if it is not known, that of the
    zone (IANA name).
    """
    if not isinstance(moment, datetime) or is_own_clock(moment, reader):
        return text
    text = f"{text} {_place_of_clock(number or '', moment, zone_name)}"
    if not reader.zone_is_named:
        return text
    yours = time_on(reader.local(moment), moment, reader.now)
    return f"{text} ({yours} in {city(reader.timezone)})"


def moment_in_words(moment: datetime, reader: Reader) -> str:
    """A moment by the reader's clock: "at 4:07 PM", or "on Fri Nov 27, 4:07 PM"."""
    local = reader.local(moment)
    is_today = local.date() == reader.now.date()
    text = f"at {hour(local)}" if is_today else f"on {day_and_hour(local, reader.now)}"
    return with_place(text, local, None, reader.timezone, reader)


def _place_of_clock(number: str, moment: datetime, zone_name: str) -> str:
    """Where it is `moment`: at the callee, if the number (E.164) shows its clock, or in a zone."""
    if local_time(number, moment) is not None:
        return "there"
    return clock_in(zone_name)
