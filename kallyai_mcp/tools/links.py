"""Links from a result to a resource."""

from mcp.types import Annotations, ContentBlock, ResourceLink

from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.uris import CALENDAR, CALL, call_uri


def links(view: CallView) -> list[ContentBlock]:
    """The link (`resource_link`) to what the text of a result can't hold; at most one.

    For a call in progress: the call, whose updates a client can subscribe to. For a call that made an appointment: the
    calendar file. For others none, since a client that doesn't read resources shows the model the JSON of each link.
    For the same reason a link is as short as possible, and its audience is the user.
    """
    if view.outcome is None:
        id_ = view.record.tracking_id if view.record is not None and view.record.is_active else view.call_id
        return [_link(call_uri(CALL, id_), "call", "text/plain")] if id_ else []
    if view.appointment is not None and view.call_id is not None:
        return [_link(call_uri(CALENDAR, view.call_id), "calendar.ics", "text/calendar")]
    return []


def _link(uri: str, name: str, mime_type: str) -> ResourceLink:
    return ResourceLink(uri=uri, name=name, mime_type=mime_type, annotations=Annotations(audience=["user"]))
