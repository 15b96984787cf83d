"""What a person is shown of a call before it is placed, and the question after it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kallyai_mcp.api.models import Statistics
from kallyai_mcp.calls.opt_outs import OptOut
from kallyai_mcp.calls.policy import RiskFlag
from kallyai_mcp.calls.records import CallRequest
from kallyai_mcp.cli.screen import Fact, Screen, Tone
from kallyai_mcp.cli.service import Service
from kallyai_mcp.tools.facets.earlier_calls import NEVER_CALLED, EarlierCalls
from kallyai_mcp.tools.text.consent import call_rows, number_and_country, reasons
from kallyai_mcp.tools.text.consent_words import Words
from kallyai_mcp.tools.text.earlier_calls import earlier_rows
from kallyai_mcp.tools.text.plain import Reader, one_line, sentence


class _Kind(NamedTuple):
    """A kind of call, and who is reached by it."""

    name: str
    reaches: str


_KINDS = {
    True: _Kind("simulated", "nobody is called"),
    False: _Kind("real", "to another person"),
}
"""The kinds of calls, by whether they are simulated."""


def preview_screen(
    request: CallRequest,
    risk_flags: Sequence[RiskFlag],
    usage: Statistics | None,
    reader: Reader,
    service: Service,
    opt_out: OptOut | None = None,
    earlier: EarlierCalls = NEVER_CALLED,
) -> Screen:
    """Who will be called, when, and what for; `risk_flags` are reasons to think about it first,
    and so is the `opt_out` of the number. `earlier` calls to it are told, too.
    """
    words = Words()
    asked = request.submission
    number = number_and_country(asked.respondent_phone, words)
    name = one_line(asked.business_name or "", 80)
    kind = _KINDS[service.is_simulated]
    rows = [
        *earlier_rows(earlier, asked, words, reader),
        *call_rows(asked, usage, request.schedule, reader, words),
    ]
    why = reasons(risk_flags, words, reader, opt_out)
    return Screen(
        Tone.UNSURE if risk_flags else Tone.ASKED,
        f"{kind.name.capitalize()} call",
        (kind.reaches,),
        (*_who(name, number), *(Fact(row.label, row.text) for row in rows)),
        [sentence(f"Before you agree: {why}")] if why else (),
        is_simulated=service.is_simulated,
    )


def _who(name: str, number: str) -> Iterator[Fact]:
    if name:
        yield Fact("Who", name)
    yield Fact("Number", number)


def question_of(request: CallRequest, service: Service) -> str:
    """What is asked below the preview."""
    kind = _KINDS[service.is_simulated].name
    if request.schedule.not_before is None:
        return f"Place this {kind} call?"
    return f"Schedule this {kind} call?"
