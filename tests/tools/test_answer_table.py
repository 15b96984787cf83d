"""The table of answers: a row for each callee of a list, in few words."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kallyai_mcp.calls.appointment import Calendar
from kallyai_mcp.calls.call_lists import CallList, StopReason, Until
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.speech import Quote, Speech
from kallyai_mcp.tools.text.answer_table import answer_table
from kallyai_mcp.tools.text.call_lists import call_list
from kallyai_mcp.tools.text.plain import Reader
from tests.calls.ledgers import ACCOUNT, NOW, asked, ended_as, outcome, submission

READER = Reader(timezone="America/New_York", now=NOW + timedelta(minutes=5), wait_seconds=45)
PARKING, CARDS = "Is there parking?", "Do you take cards?"
YES = Quote(PARKING, "Yes, behind the building.", "0:09")
CASH = Quote(CARDS, "Only cash, sorry.", "0:15")


def called(
    number: int, *questions: str, name: str = "", status: str = "success", **changes: Any
) -> CallRecord:
    """A call of a list that has ended with this status."""
    wanted = submission(
        task_description="Ask",
        respondent_phone=f"+1415555120{number}",
        business_name=name or f"Shop {number}",
        additional_instructions=questions,
    )
    record = asked(number, submission=wanted, state=CallState.SENT, sent_at=NOW)
    ended = ended_as(record, outcome(status, f"c-{number}"))
    return replace(ended, calendar=Calendar(), **changes)


def around(*records: CallRecord, until: Until = "all", **changes: Any) -> CallList:
    """A list with these calls, and one candidate more."""
    wanted = (
        *(record.submission for record in records),
        submission(respondent_phone="+14155551299"),
    )
    made = CallList(
        ACCOUNT,
        wanted,
        until,
        accept_other_time=False,
        timezones=("America/New_York",) * len(wanted),
        asked_at=NOW,
        records=records,
    )
    return replace(made, **changes)


def row(*quotes: Quote, status: str = "success", **speech: Any) -> str:
    """What is told of a callee who was asked two questions and said this."""
    record = called(1, PARKING, CARDS, status=status)
    said = Speech(answers=quotes, **speech)
    view = replace(CallView.of_record(record), speech=said)
    return answer_table(around(record), [view], READER)[1]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (
            (YES, CASH),
            'Shop 1  1. (0:09) "Yes, behind the building." 2. (0:15) "Only cash, sorry."  c-1',
        ),
        (
            (YES, Quote(CARDS)),
            'Shop 1  1. (0:09) "Yes, behind the building." 2. not answered  c-1',
        ),
        (
            (YES, replace(YES, question=CARDS)),
            'Shop 1  1, 2. (0:09) "Yes, behind the building."  c-1',
        ),
        (
            (YES, replace(YES, quote="On the street.", at="0:20"), replace(CASH, hedged=True)),
            'Shop 1  1. (0:09) "Yes, behind the building." or (0:20) "On the street." '
            '2. (0:15), not certain: "Only cash, sorry."  c-1',
        ),
        (
            (Quote(PARKING), Quote(CARDS)),
            'Shop 1  answered  1, 2. not answered  KallyAI: "Booked."  c-1',
        ),
        (
            (replace(YES, quote="Yes " * 40), CASH),
            f'Shop 1  1. (0:09) "{"Yes " * 18}Y… [cut]" 2. (0:15) "Only cash, sorry."  c-1',
        ),
    ],
)
def test_each_answer_is_told_once(answers: tuple[Quote, ...], says: str) -> None:
    assert row(*answers) == says


def test_without_words_kallyais_report_is_told() -> None:
    unread = row(is_unanswered=True)

    assert unread == 'Shop 1  answered, no transcript can be read now  KallyAI: "Booked."  c-1'
    assert row(status="busy") == "Shop 1  not reached, busy  c-1"


def test_one_question_needs_no_number() -> None:
    record = called(1, PARKING)
    view = replace(CallView.of_record(record), speech=Speech(answers=(YES,)))

    assert answer_table(around(record), [view], READER) == [
        f'Question: "{PARKING}"',
        'Shop 1  (0:09) "Yes, behind the building."  c-1',
        "get_call with the id of a call has KallyAI's report of it.",
    ]


def test_callees_with_one_name_have_their_numbers() -> None:
    records = [called(number, name="Shop", status="busy") for number in (1, 2)]
    rows = answer_table(around(*records), [CallView.of_record(one) for one in records], READER)

    assert [line.partition("  ")[0] for line in rows] == [
        "Shop (+1 415-555-1201)",
        "Shop (+1 415-555-1202)",
    ]


TOLD = called(1, delivered_at=NOW)
NEW = called(2)
GOES_ON = called(3, state=CallState.SENT, call=None, call_id=None)


def told(found: CallList, *, is_poll: bool) -> list[str]:
    """The names of the callees with a row, and what is said of those without."""
    views = [CallView.of_record(record) for record in found.records]
    lines = call_list(found, READER, views, is_poll=is_poll).splitlines()
    return [line.partition("  ")[0] for line in lines if line.startswith(("Shop", "Told"))]


@pytest.mark.parametrize(
    ("found", "is_poll", "names"),
    [
        (around(TOLD, NEW, GOES_ON), False, ["Shop 1", "Shop 2"]),
        (
            around(TOLD, NEW, GOES_ON),
            True,
            ["Shop 2", "Told before: 1; the last result has all."],
        ),
        (
            around(TOLD, NEW, GOES_ON, stop_reason=StopReason.NEEDS_SIGN_IN),
            True,
            ["Shop 1", "Shop 2", "Shop 3"],
        ),
    ],
)
def test_a_poll_tells_what_is_new(found: CallList, is_poll: bool, names: list[str]) -> None:
    assert told(found, is_poll=is_poll) == names


def test_a_poll_says_how_many_were_called() -> None:
    found = around(TOLD, NEW, GOES_ON)
    views = [CallView.of_record(record) for record in found.records]
    first = call_list(found, READER, views, is_poll=True).splitlines()[0]

    assert first.startswith("In progress: Shop 3 (+1 415-555-1203); 2 of 4 called.")
