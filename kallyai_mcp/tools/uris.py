"""The addresses of calls as resources: `kallyai://calls` and what is below it."""

from functools import cache

from mcp.shared.uri_template import UriTemplate

CALLS = "kallyai://calls"
CALL = "kallyai://calls/{call_id}"
TRANSCRIPT = "kallyai://calls/{call_id}/transcript"
CALENDAR = "kallyai://calls/{call_id}/calendar.ics"
"""URI templates (RFC 6570); a `tracking_id` does in place of the `call_id`."""

_parsed = cache(UriTemplate.parse)


def call_uri(template: str, call_id: str) -> str:
    """The URI of one call, after `CALL`, `TRANSCRIPT` or `CALENDAR`; whatever the id holds is percent-encoded."""
    return _parsed(template).expand({"call_id": call_id})


def call_id_in(uri: str) -> str | None:
    """The id of the call that `uri` is about, whichever of the three it is; None if it is none of them."""
    for template in (CALL, TRANSCRIPT, CALENDAR):
        found = _parsed(template).match(uri)
        if found is not None and isinstance(call_id := found["call_id"], str) and call_id:
            return call_id
    return None
