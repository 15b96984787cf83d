"""The line of a result about planned calls that ended since the result before."""

from kallyai_mcp.calls.news import News
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.text.calls import state_in_words
from kallyai_mcp.tools.text.consent_words import Words
from kallyai_mcp.tools.text.errors import what_happened
from kallyai_mcp.tools.text.listing import detail
from kallyai_mcp.tools.text.plain import Reader, party_of, word

_SAY = {
    "news": "Since then: {calls}.{left}",
    "call": "the call to {party} planned for {due} {end}",
    "placed": "was placed: {end} ({id})",
    "not_placed": "was not placed: {why}",
    "unknown": "may have been placed, and how it ended is not known ({id})",
    "left": " {} more planned calls are over; the next result tells of them.",
    "one_left": " 1 more planned call is over; the next result tells of it.",
}


def news_line(news: News, reader: Reader) -> str:
    """What came of planned calls, in one line: "Since then: the call to Mom planned for ..."."""
    calls = "; ".join(_planned_call(record, reader) for record in news.calls)
    return _SAY["news"].format(calls=calls, left=_left(news.left))


def _left(count: int) -> str:
    match count:
        case 0:
            return ""
        case 1:
            return _SAY["one_left"]
    return _SAY["left"].format(count)


def _planned_call(record: CallRecord, reader: Reader) -> str:
    asked = record.submission
    due = Words().due(record.schedule, asked.respondent_phone, record.timezone, reader)
    end = _end(CallView.of_record(record), reader)
    return _SAY["call"].format(party=party_of(asked), due=due, end=end)


def _end(view: CallView, reader: Reader) -> str:
    """Whether a call was placed, and how it ended, or why it was not."""
    if view.refusal is not None:
        return _SAY["not_placed"].format(why=what_happened(view.refusal))
    id_ = word(view.id)
    if view.may_have_been_called:
        return _SAY["unknown"].format(id=id_)
    facts = (state_in_words(view).rstrip("*"), detail(view, reader))
    return _SAY["placed"].format(end=", ".join(filter(None, facts)), id=id_)
