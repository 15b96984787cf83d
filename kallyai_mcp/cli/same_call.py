"""The command that asks for a call again, so that it can be copied."""

from collections.abc import Iterator

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.about_booking import about_call_id
from kallyai_mcp.calls.disclosure import wishes_in, without_disclosure
from kallyai_mcp.calls.numbers import zone_of_callee
from kallyai_mcp.calls.other_time import accepts_other_time, with_other_time
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.cli.service import Service, in_shell
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.text.plain import Reader, one_line

_OPTIONS = {
    "business_name": "--business",
    "user_name": "--name",
    "user_phone": "--phone",
    "appointment_date": "--date",
    "appointment_time": "--time",
    "time_preference_text": "--leeway",
    "party_size": "--party",
    "language": "--lang",
}
"""The options of `kallyai-mcp call` for fields of a submission."""


def same_call(view: CallView, reader: Reader, service: Service, *options: str) -> str:
    """The command that asks for the same call, or the options to add where that isn't known."""
    if view.record is not None:
        command = command_for_same_call(view.record, reader, service, *options)
        if command is not None:
            return command
    if not options:
        return "the same call"
    return f"the same call with {in_shell(*options)}"


def command_for_same_call(
    record: CallRecord, reader: Reader, service: Service, *options: str
) -> str | None:
    """The command `kallyai-mcp call` that asks for the same call, with more `options`.

    None if no command can ask for it, as for a call about an earlier booking.
    """
    asked = record.submission
    if not _can_be_typed(asked):
        return None
    number = asked.respondent_phone
    words = [number, one_line(asked.task_description), *_options_of(asked)]
    if record.timezone != zone_of_callee(number, otherwise=reader.timezone):
        words += ("--timezone", record.timezone)
    return service.command("call", *words, *options)


def _can_be_typed(asked: Submission) -> bool:
    """Whether the options of the command can say all that was asked for."""
    if about_call_id(asked) is not None or asked.call_language != asked.language:
        return False
    wishes = asked.model_copy(update={"additional_instructions": wishes_in(asked) or None})
    said = with_other_time(wishes, accept=accepts_other_time(asked))
    return said.as_json() == without_disclosure(asked.as_json())


def _options_of(asked: Submission) -> Iterator[str]:
    category = "restaurant" if asked.party_size else "general"
    if asked.task_category != category:
        yield from ("--category", asked.task_category)
    for field, option in _OPTIONS.items():
        value = getattr(asked, field)
        if value is not None:
            yield from (option, one_line(str(value)))
    for wish in wishes_in(asked):
        yield from ("--also", one_line(wish))
    if accepts_other_time(asked):
        yield "--accept-other-time"
    if asked.is_urgent:
        yield "--urgent"
