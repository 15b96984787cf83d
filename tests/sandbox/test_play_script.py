"""What the script of the play page reads in typed words, without a browser."""

import json
from typing import Any

import pytest

from kallyai_mcp.sandbox.pages import read
from tests.npm import missing
from tests.programs import run_well

TIMES = {
    "We have a table at 8:30 pm.": "20:30",
    "At 8.30 a.m. it is quiet": "08:30",
    "Maybe 20:30?": "20:30",
    "Podría ser a las 9": "21:00",
    "At 12 pm": "12:00",
    "At 12 am": "00:00",
    "Only at 7": "19:00",
    "A table for 4 people, call 555-0142": "",
    "No, sorry": "",
    "At 25:10": "",
}


def value_of(expression: str) -> Any:
    if reason := missing():
        pytest.skip(reason)
    program = f"{read('play.js')}process.stdout.write(JSON.stringify({expression}));"
    return json.loads(run_well(["node", "-"], stdin=program).stdout)


def test_a_typed_time_can_be_taken_over() -> None:
    found = value_of(f"{json.dumps(list(TIMES))}.map(timeIn)")

    assert dict(zip(TIMES, found, strict=True)) == TIMES


@pytest.mark.parametrize(
    ("chosen", "expects", "kind"),
    [
        ("", "agrees", "speaks"),
        ("", "answers", "answers"),
        ("", "says_goodbye", "speaks"),
        ("agrees", "answers", "agrees"),
    ],
)
def test_just_talking_agrees_to_nothing(chosen: str, expects: str, kind: str) -> None:
    assert value_of(f"kindOf({json.dumps(chosen)}, {json.dumps(expects)})") == kind
