"""The URIs of calls as resources (`kallyai://calls` and below), and links to them in results.

Only a host of MCP Apps gets links, because it keeps them for its user. For other clients, no capability says what they
do with links. Some frameworks give all content to their model, even as a file that the model's API refuses after the
call was placed. Some drop the content. Pydantic AI then returns a list instead of the structure. All these clients find
the same resources by the structure.
"""

from typing import TYPE_CHECKING
from urllib.parse import quote

from kallyai_mcp.tools.results import CallAnswer, ToolResult

if TYPE_CHECKING:
    from mcp.types import ContentBlock, EmbeddedResource, ResourceLink

CALLS = "kallyai://calls"
CALL = "kallyai://calls/{call_id}"
TRANSCRIPT = "kallyai://calls/{call_id}/transcript"
CALENDAR = "kallyai://calls/{call_id}/calendar.ics"
"""URI templates (RFC 6570); a `tracking_id` may be used as `call_id`."""


def call_uri(template: str, call_id: str) -> str:
    """The URI of one call by the template `CALL`, `TRANSCRIPT`, or `CALENDAR`; the id is percent-encoded."""
    return template.replace("{call_id}", quote(call_id, safe=""))


def links(result: ToolResult[CallAnswer], *, for_apps: bool) -> "list[ContentBlock]":
    """The links (`resource_link`) of the result about a call; at most one, and none unless the client is `for_apps`.

    For a call in progress, it is the call itself, so that a client can read it again. For a call that made an
    appointment, it is the calendar file.
    """
    call = result.structure
    if not for_apps or result.is_error or call.status == "scheduled":
        return []
    if call.outcome is None:
        id_ = call.tracking_id or call.call_id
        return [_link(call_uri(CALL, id_), "call", "text/plain")] if id_ else []
    if call.appointment is not None and call.call_id is not None:
        return [_link(call_uri(CALENDAR, call.call_id), "calendar.ics", "text/calendar")]
    return []


def calendar_file(call_id: str, text: str) -> "EmbeddedResource":
    """The calendar file of a call, attached to a result."""
    from mcp.types import EmbeddedResource, TextResourceContents

    contents = TextResourceContents(uri=call_uri(CALENDAR, call_id), mime_type="text/calendar", text=text)
    return EmbeddedResource(type="resource", resource=contents)


def _link(uri: str, name: str, mime_type: str) -> "ResourceLink":
    from mcp.types import Annotations, ResourceLink

    return ResourceLink(uri=uri, name=name, mime_type=mime_type, annotations=Annotations(audience=["user"]))
