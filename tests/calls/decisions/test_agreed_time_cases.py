"""Written cases of reports and callee's words: whether another time was agreed to than the event's.

The event is in San Francisco, at the hour that each case names, for four people.
"""

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from kallyai_mcp.calls.speech.agreed_time import agreed_other_time
from tests.calls.transcripts import transcript


class Case(NamedTuple):
    """What was reported and said of an event at `hour`, and the other time that was agreed to."""

    hour: int
    report: str
    said: str
    other: str | None


CASES = [
    # A number of people is no time where another one is named.
    Case(16, "Reserved a table for 4 at Trattoria on Friday, May 8 at 7:00 PM.", "", "7:00 PM"),
    Case(16, "Reserved a table for 4. The booking is at 7 PM.", "", "7 PM"),
    Case(16, "Mesa reservada para cuatro, el viernes a las siete.", "", "las siete"),
    Case(16, "Booked for four, under Ada.", "", None),
    Case(19, "", "You're booked: a table for four, by the window, at seven.", None),
    Case(16, "", "Your table for four, by the window, is at seven.", "seven"),
    # A restaurant whose name is a number
    Case(19, "Booked at Seven Hills for 8 PM.", "", "8 PM"),
    Case(19, "Booked at Eight Tables for 7 PM.", "", None),
    # Times of arrival and opening hours
    Case(19, "Booked for seven, please come at quarter to.", "", None),
    Case(19, "", "You're all set for seven, please come at quarter to.", None),
    Case(19, "", "Booked for 7. Be here at 6:45, please.", None),
    Case(19, "Reservada a las siete; lleguen a las siete menos cuarto.", "", None),
    Case(19, "", "Les apunto a las siete. Abrimos a las seis y media.", None),
    Case(19, "Confirmed. The kitchen is open until 9 PM.", "", None),
    # Times that were refused or only offered
    Case(19, "Eight was full; booked at seven.", "", None),
    Case(19, "", "I can't do eight, but I have you down for seven.", None),
    Case(19, "", "No tenemos a las ocho. Le apunto a las siete.", None),
    Case(20, "", "Seven is taken. You're booked at half past eight.", "half past eight"),
    Case(19, "", "\u00bfLe apunto a las ocho?", None),
    Case(19, "", "We could do eight instead.", None),
    # An hour that may be read in two ways
    Case(7, "Booked for 7.", "", None),
    Case(19, "Booked for 7.", "", None),
    Case(7, "Booked for 7 in the evening.", "", "7 in the evening"),
    Case(19, "", "Okay, half seven it is, you're booked.", "half seven"),
    Case(9, "La cita queda a las nueve de la noche.", "", "las nueve de la noche"),
    Case(9, "La cita queda a las nueve.", "", None),
    # The callee's words and the report
    Case(16, "", "Friday at seven, see you then.", "seven"),
    Case(16, "Booked for 7 PM.", "You are booked at four.", None),
    Case(16, "Booked.", "Quedamos a las siete y media, entonces.", "las siete y media"),
    Case(16, "Booked for 4 PM.", "See you at seven.", None),
    Case(12, "Reservada al mediod\u00eda.", "", None),
    Case(13, "Reservada a mediod\u00eda.", "Su mesa es a la una.", None),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.hour}-{case.report}{case.said}")
def test_agreed_time_of_a_written_case(case: Case) -> None:
    start = datetime(2026, 5, 8, case.hour, tzinfo=ZoneInfo("America/Los_Angeles"))
    said = transcript(("AI", "A table for four, please."), ("HUMAN", case.said))

    found = agreed_other_time(case.report, said, start, "+14155551234", party_size=4)

    assert (found.time if found is not None else None) == case.other
