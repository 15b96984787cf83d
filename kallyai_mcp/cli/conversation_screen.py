"""What a person is shown of a conversation: who said what, in two colors."""

from collections.abc import Iterator

from kallyai_mcp.api.models import Call, Transcript, TranscriptEntry
from kallyai_mcp.calls.numbers import zone_of_callee
from kallyai_mcp.cli.screen import Screen, Tone, Turn
from kallyai_mcp.cli.service import Service
from kallyai_mcp.tools.text.conversation import entries_shown
from kallyai_mcp.tools.text.plain import (
    Reader,
    clock,
    day_and_hour,
    lasted,
    one_line,
    party_of,
    with_place,
    zone_of,
)

_SPEAKERS = {"human": "They", "user": "They", "unknown": "?"}


def conversation_screen(
    call: Call | None, spoken: Transcript, reader: Reader, service: Service
) -> Screen:
    """Who said what and when; `call` is None if the sign-in may not read calls."""
    shown = spoken.entries[: entries_shown(spoken)]
    left_out = len(spoken.entries) - len(shown)
    notes = []
    if not shown:
        notes.append("The transcript is empty.")
    if left_out:
        notes.append(f"The conversation has {left_out} more turns, which are not shown.")
    return Screen(
        Tone.TALKED,
        "Conversation",
        tuple(_about(call, reader)) if call is not None else (),
        notes=notes,
        turns=tuple(map(_turn, shown)),
        is_simulated=service.is_simulated,
    )


def _about(call: Call, reader: Reader) -> Iterator[str]:
    """The callee, when it was by the callee's clock, and how long it lasted."""
    number = call.submission.respondent_phone
    yield party_of(call.submission)
    if call.created_at is not None:
        place = zone_of_callee(number, otherwise=reader.timezone)
        at = call.created_at.astimezone(zone_of(place))
        yield with_place(day_and_hour(at, reader.now), at, number, place, reader)
    time = lasted(call)
    if time:
        yield time


def _turn(entry: TranscriptEntry) -> Turn:
    speaker = "KallyAI" if entry.is_kallyai else _speaker(entry.speaker)
    return Turn(speaker, one_line(entry.content), clock(entry.timestamp), entry.is_kallyai)


def _speaker(name: str) -> str:
    return _SPEAKERS.get(name.casefold(), one_line(name, 20) or "?")
