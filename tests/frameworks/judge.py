"""Whether what a snippet saw is what the README promises."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

TOOLS = {"make_call", "get_call", "list_calls"}

_UNDER_WAY = re.compile("under way|in_progress")
_NOT_AGAIN = re.compile('Nothing was dialled now|"dialled_now": ?false')


def faults_of(seen: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong, a line each.

    Args:
        seen: `drive.Seen` as JSON.
        calls: What the server's own list has of the calls to that place.
    """
    faults = []
    answers = seen["answers"]
    if missing := TOOLS.difference(seen["tools"]):
        faults.append(f"tools that were not offered: {', '.join(sorted(missing))}")
    if _UNDER_WAY.search(seen["gave_up"]) or "Done" in seen["gave_up"]:
        faults.append(f"the client did not give up: {seen['gave_up']}")
    if len(answers) < 2 or not _UNDER_WAY.search(answers[0]) or not _NOT_AGAIN.search(answers[0]):
        faults.append(f"asked for again, the call was not found under way: {answers[:1]}")
    if [call.get("status") for call in calls] != ["success"]:
        faults.append(f"there should be one call, and it should have succeeded: {[dict(call) for call in calls]}")
    elif str(calls[0]["call_id"]) not in seen["last_word"]:
        faults.append(f"its outcome did not arrive: {seen['last_word']}")
    return faults


def gave_up_too_soon(seen: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the client gave up before its server was there to be asked: then the run says nothing of us.

    The call that was asked for again is then the first and only one. Had the client's been placed after all, there
    would be two.
    """
    answers = seen["answers"]
    return (
        bool(answers)
        and _UNDER_WAY.search(answers[0]) is not None
        and not _NOT_AGAIN.search(answers[0])
        and len(calls) == 1
    )
