"""Formats of days and times, in English and Spanish.

English texts use 12 hours. Spanish texts follow the place that is called: 12 hours for North America, else 24 hours.
"""

from datetime import date, datetime, tzinfo
from zoneinfo import ZoneInfo

from kallyai_mcp.calls.appointment import time_of_day
from kallyai_mcp.calls.numbers import local_time
from kallyai_mcp.tools.text.plain import is_north_american, zone_of
from kallyai_mcp.tools.text.reader import Reader

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAYS_ES = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS_ES = (
    *("enero", "febrero", "marzo", "abril", "mayo", "junio"),
    *("julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
)


def hour(hours: int, minutes: int, *, spanish: bool = False, number: str | None = None) -> str:
    """A time of day: "7:00 PM"; in Spanish "19:00", or "7:00 p. m." for a `number` (E.164) of North America."""
    if spanish and not is_north_american(number):
        return f"{hours}:{minutes:02}"
    half = ("p. m." if hours >= 12 else "a. m.") if spanish else ("PM" if hours >= 12 else "AM")
    return f"{hours % 12 or 12}:{minutes:02} {half}"


def hour_in_text(time: str | None, *, spanish: bool = False, number: str | None = None) -> str | None:
    """A time of day such as "19:00" in the format of `hour`; any other text, and None, unchanged."""
    read = time_of_day(time) if time else None
    return hour(*read, spanish=spanish, number=number) if read is not None else time


def month(day: date, *, spanish: bool = False) -> str:
    """The month of a day: "Nov" or "noviembre"."""
    return (_MONTHS_ES if spanish else _MONTHS)[day.month - 1]


def weekday_name(day: date, *, spanish: bool = False) -> str:
    """The whole name of a day of the week: "Friday" or "viernes"."""
    return (_DAYS_ES if spanish else _DAYS)[day.weekday()]


def day(moment: date, now: datetime, *, spanish: bool = False) -> str:
    """The day of `moment`: "Feb 1" or "1 de febrero", with the year unless it is the year of `now`."""
    name, of_another_year = month(moment, spanish=spanish), moment.year != now.year
    if spanish:
        return f"{moment.day} de {name}" + (f" de {moment.year}" if of_another_year else "")
    return f"{name} {moment.day}" + (f", {moment.year}" if of_another_year else "")


def when(moment: datetime, zone: tzinfo, now: datetime, *, spanish: bool = False, number: str | None = None) -> str:
    """`moment` in `zone`: "Jan 25 10:30 AM" or "25 ene 10:30", with the year unless it is the year of `now`.

    For `number` see `hour`.
    """
    local = moment.astimezone(zone)
    time = hour(local.hour, local.minute, spanish=spanish, number=number)
    if spanish:
        year = f" {local.year}" if local.year != now.astimezone(zone).year else ""
        return f"{local.day} {month(local, spanish=True)[:3]}{year} {time}"
    return f"{day(local, now.astimezone(zone))} {time}"


def weekday(moment: date, now: datetime, *, spanish: bool = False) -> str:
    """A day: "Fri Nov 27", or "viernes 27 de noviembre"; with the year unless it is the year of `now`."""
    name = weekday_name(moment, spanish=spanish)
    return f"{name if spanish else name[:3]} {day(moment, now, spanish=spanish)}"


def day_and_hour(start: date | datetime, now: datetime, *, spanish: bool = False, number: str | None = None) -> str:
    """A day with its time, if it has one: "Fri Nov 27, 7:00 PM", or "el viernes 27 de noviembre a las 19:00"."""
    its_day = weekday(start, now, spanish=spanish)
    time = None
    if isinstance(start, datetime):
        time = hour(start.hour, start.minute, spanish=spanish, number=number)
    if spanish:
        return f"el {its_day}{f' a {the_hour(time)}' if time else ''}"
    return f"{its_day}{f', {time}' if time else ''}"


def the_hour(time: str) -> str:
    """A Spanish time of day with its article: "las 19:00", "la 1:00 p. m."."""
    return f"{'la' if time.startswith('1:') else 'las'} {time}"


def city(zone_name: str, *, spanish: bool = False) -> str:
    """The place in the name of a time zone: "New York" or "Nueva York"."""
    name = zone_name.rpartition("/")[2].replace("_", " ")
    if not spanish:
        return name
    from kallyai_mcp.places_es import places  # imported late: English texts don't need it

    return places().get(name, name)


def in_zone(start: date | datetime, zone_name: str) -> date | datetime:
    """`start` in another zone (IANA name); a day, and a time without a zone, are returned unchanged."""
    return start.astimezone(zone_of(zone_name)) if isinstance(start, datetime) and start.tzinfo is not None else start


def at_callee(moment: datetime, number: str | None) -> datetime:
    """`moment` by the clock of the callee, whose `number` is in E.164; unchanged if the number does not show it."""
    return (local_time(number, moment) if number is not None else None) or moment


def is_own_clock(moment: date | datetime, reader: Reader) -> bool:
    """Whether the reader's clock shows the same time; True for a day."""
    if not isinstance(moment, datetime):
        return True
    return moment.replace(tzinfo=None) == moment.astimezone(zone_of(reader.timezone)).replace(tzinfo=None)


def own_time(there: datetime, reader: Reader, *, number: str | None) -> str:
    """`there` by the reader's clock; with the day, if the reader's day is another one. For `number`, see `hour`."""
    own = there.astimezone(zone_of(reader.timezone))
    if own.date() != there.date():
        return day_and_hour(own, reader.now, spanish=reader.spanish, number=number)
    return hour(own.hour, own.minute, spanish=reader.spanish, number=number)


def differs(start: date | datetime | None, zone_name: str, other: str) -> bool:
    """Whether the clocks of two zones (IANA names) differ at `start`; False for a day."""
    if not isinstance(start, datetime):
        return False
    wall = start.replace(tzinfo=None)
    zones: tuple[ZoneInfo, ...] = tuple(zone for zone in map(zone_of, (zone_name, other)) if isinstance(zone, ZoneInfo))
    offsets = {wall.replace(tzinfo=zone).utcoffset() for zone in zones}
    return len(offsets) > 1 or (len(zones) < 2 and zone_name != other)
