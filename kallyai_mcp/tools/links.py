"""Links from a result to a resource."""

from mcp.types import Annotations, ContentBlock, ResourceLink

from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.tools.uris import CALENDAR, CALL, call_uri


def links(call: Call | CallRecord) -> list[ContentBlock]:
    """The link (`resource_link`) to what the text of a result can't hold; at most one.

    For a call in progress: the call, whose updates a client can subscribe to. For a call that made an appointment: the
    calendar file. For others none, since a client that doesn't read resources shows the model the JSON of each link.
    For the same reason a link is as short as possible, and its audience is the user.
    """
    if isinstance(call, CallRecord):
        if call.is_active:
            return [_link(call_uri(CALL, call.tracking_id), "call", "text/plain")]
        if call.call is None:
            return []
        call = call.call
    if not call.is_final:
        return [_link(call_uri(CALL, call.call_id), "call", "text/plain")]
    if call.status == "success" and call.submission.appointment_date:
        return [_link(call_uri(CALENDAR, call.call_id), "calendar.ics", "text/calendar")]
    return []


def _link(uri: str, name: str, mime_type: str) -> ResourceLink:
    return ResourceLink(uri=uri, name=name, mime_type=mime_type, annotations=Annotations(audience=["user"]))
