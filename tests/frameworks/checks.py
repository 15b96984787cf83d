"""Checks that what was observed of a snippet is what docs/frameworks.md promises."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

TOOLS = {"make_call", "get_call", "list_calls"}

_IN_PROGRESS = re.compile("[Ii]n[ _]progress")
_EARLY = 0.2
"""How many seconds too early a timer may end."""

_NOT_AGAIN = re.compile('[Nn]o new call was placed|"placed_now": ?false')


def find_faults(observed: Mapping[str, Any], calls: Sequence[Mapping[str, Any]], timeout: float) -> list[str]:
    """The faults in `drive.Observed` as JSON, a line each; `calls` are those to that business in the server's list."""
    if observed.get("error"):
        return [str(observed["error"])]
    faults = []
    answers = observed["answers"]
    if missing := TOOLS.difference(observed["tools"]):
        faults.append(f"tools that were not offered: {', '.join(sorted(missing))}")
    if _IN_PROGRESS.search(observed["timed_out"]) or "Booked" in observed["timed_out"]:
        faults.append(f"the client did not time out: {observed['timed_out']}")
    if observed["seconds"] < timeout - _EARLY:  # how much later depends on the machine
        faults.append(
            f"the client gave up after {observed['seconds']:.1f} s, before its {timeout} s: {observed['timed_out']}"
        )
    if len(answers) < 2 or not _IN_PROGRESS.search(answers[0]) or not _NOT_AGAIN.search(answers[0]):
        faults.append(f"when asked for again, the call was not found in progress: {answers[:1]}")
    if [call.get("outcome") for call in calls] != ["answered"]:
        faults.append(f"there should be one answered call: {[dict(call) for call in calls]}")
    elif str(calls[0]["call_id"]) not in observed["result"]:
        faults.append(f"the result does not have its outcome: {observed['result']}")
    patient = observed.get("patient")
    if patient is not None and '"outcome":"answered"' not in patient:
        faults.append(f"a client that waits on with each message of progress did not get the outcome: {patient}")
    return faults


def was_too_slow(observed: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the run shows nothing of a call in progress.

    The client timed out before its server had started: then the second request placed the first and only call; if the
    first one had placed a call too, there would be two. Or the call had ended before the second request.
    """
    if not observed["answers"] or len(calls) != 1:
        return False
    answer = observed["answers"][0]
    return (_IN_PROGRESS.search(answer) is None) != (_NOT_AGAIN.search(answer) is None)
