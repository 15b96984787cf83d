"""Makes the submission for KallyAI from the arguments of make_call, of call_around, or of a command."""

from collections.abc import Mapping
from typing import Any

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.numbers import zone_of_number
from kallyai_mcp.calls.other_time import with_other_time
from kallyai_mcp.tools.context import AppContext


def submission_of(arguments: Mapping[str, Any]) -> Submission:
    """The submission from validated arguments; arguments that are no field of a submission are ignored."""
    # Empty and false values are left out: with and without them, it must be the same call (the same fingerprint).
    fields = {name: arguments[name] or None for name in Submission.model_fields if name in arguments}
    return with_other_time(Submission(**fields), accept=arguments["accept_other_time"])


def callee_zone(given: str | None, number: str, app_context: AppContext) -> str:
    """IANA name of the zone of a call's day and time: the `given` one, else that of the number, else the user's."""
    return given or zone_of_number(number) or app_context.timezone
