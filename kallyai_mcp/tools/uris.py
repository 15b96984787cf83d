"""The URIs of calls as resources: `kallyai://calls` and those below it."""

from functools import cache

from mcp.shared.uri_template import UriTemplate

CALLS = "kallyai://calls"
CALL = "kallyai://calls/{call_id}"
TRANSCRIPT = "kallyai://calls/{call_id}/transcript"
CALENDAR = "kallyai://calls/{call_id}/calendar.ics"
"""URI templates (RFC 6570); a `tracking_id` may take the place of the `call_id`."""

_parsed = cache(UriTemplate.parse)


def call_uri(template: str, call_id: str) -> str:
    """The URI of one call by the template `CALL`, `TRANSCRIPT`, or `CALENDAR`; the id is percent-encoded."""
    return _parsed(template).expand({"call_id": call_id})


def call_id_in(uri: str) -> str | None:
    """The id of the call in `uri`, which may be of any of the three templates; None if it is of none."""
    for template in (CALL, TRANSCRIPT, CALENDAR):
        match = _parsed(template).match(uri)
        if match is not None and isinstance(call_id := match["call_id"], str) and call_id:
            return call_id
    return None
