"""What a person at the terminal is shown about a list of calls."""

from dataclasses import replace

import pytest

from kallyai_mcp.calls.call_lists import StopReason
from kallyai_mcp.cli.list_screen import list_screen
from kallyai_mcp.cli.screen import Terminal, rendered
from kallyai_mcp.cli.service import Service
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.speech import Quote, Speech
from tests.tools.test_answer_table import CARDS, CASH, PARKING, READER, YES, around, called


def shown(columns: int, *answers: Quote) -> list[str]:
    """The lines of a list of one callee who gave these answers, and one who was not called."""
    questions = list(dict.fromkeys(one.question or "" for one in answers))
    record = called(1, *questions)
    view = replace(CallView.of_record(record), speech=Speech(answers=answers))
    found = around(record, stop_reason=StopReason.REFUSED)
    screen = list_screen(found, [view], READER, Service.of(Settings()))
    return rendered(screen, Terminal(columns)).splitlines()[1:]


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        (
            (YES, CASH),
            [
                f"  Question 1       {PARKING}",
                f"  Question 2       {CARDS}",
                '  Shop 1           1  "Yes, behind the building."   0:09',
                '                   2  "Only cash, sorry."   0:15',
                "  +1 415-555-1299  not called",
            ],
        ),
        (
            (replace(YES, hedged=True),),
            [
                f"  Question         {PARKING}",
                '  Shop 1           "Yes, behind the building.", not certain   0:09',
                "  +1 415-555-1299  not called",
            ],
        ),
        (
            (Quote(PARKING),),
            [
                f"  Question         {PARKING}",
                "  Shop 1           answered",
                "                   not answered in the call",
                '                   KallyAI: "Booked."',
                "  +1 415-555-1299  not called",
            ],
        ),
    ],
)
def test_a_list_shows_each_answer(answers: tuple[Quote, ...], lines: list[str]) -> None:
    assert shown(100, *answers) == lines


def test_on_a_narrow_terminal_names_stand_alone() -> None:
    assert shown(40, YES, CASH)[5:] == [
        "  Shop 1",
        '    1  "Yes, behind the building."',
        "    0:09",
        '    2  "Only cash, sorry."   0:15',
        "  +1 415-555-1299",
        "    not called",
    ]
