"""The icons of the server, its tools, and its prompts: pictures in data URIs, so a client loads nothing for them."""

from pathlib import Path
from typing import Final

from mcp.types import Icon

from kallyai_mcp.visual_identity import HANDSET, ICON, as_data_uri

_BITMAP: Final = Path(__file__).parents[1] / "bundle" / "icon-48.png"

_CALL: Final = f'<path fill="#fff" stroke="none" transform="translate(12 12) rotate(-45) scale(.056)" d="{HANDSET}"/>'
_CALENDAR: Final = (
    '<path d="M6.5 8.5a1 1 0 0 1 1-1h9a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1h-9a1 1 0 0 1-1-1zM6.5 11h11M9.5 6v3M14.5 6v3"/>'
)
_PICTURES: Final = {
    "get_call": '<path d="M12 5.5a6.5 6.5 0 1 0 .01 0M12 8.5V12l2.5 1.5"/>',
    "call_around": '<path d="M6.5 7.5h.01M6.5 12h.01M6.5 16.5h.01M10 7.5h8M10 12h8M10 16.5h5M13 14.5l2 2-2 2"/>',
    "cancel_call": '<path d="M8 8l8 8M16 8l-8 8"/>',
    "list_calls": '<path d="M6.5 8h11M6.5 12h11M6.5 16h7"/>',
    "get_transcript": (
        '<path d="M12 6c-3.6 0-6 2.3-6 5.2 0 1.8.9 3.3 2.3 4.2L7.5 18l3.2-1.7c3.9.6 7.3-1.8 7.3-5.1C18 8.3 '
        '15.6 6 12 6zM9.5 11.2h5"/>'
    ),
    "get_calendar_event": _CALENDAR,
    "check_quota": '<path d="M6 15.5a6 6 0 1 1 12 0M12 15.5l3-4"/>',
    "get_billing_link": (
        '<path d="M5.5 8.5a1 1 0 0 1 1-1h11a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1zM5.5 11h13M8 14h2.5"/>'
    ),
    "sign_in": '<path d="M12 6a2.8 2.8 0 1 0 .01 0M6.5 18a5.5 5.5 0 0 1 11 0"/>',
    "book_table": '<path d="M7 6v3a2 2 0 0 0 4 0V6M9 6v12M15.5 18V6c-2 1.3-2.3 5.5 0 7"/>',
    "book_appointment": _CALENDAR,
    "book_room": '<path d="M5.5 7v10M5.5 14.5h13V17M18.5 14.5v-2a2 2 0 0 0-2-2H10v4M7.7 10.8v.1"/>',
    "ask_business": '<path d="M9 9.5a3 3 0 1 1 4.4 2.6c-.9.5-1.4 1-1.4 2.1M12 17v.1"/>',
}
"""The picture in each icon, by the name of the tool or prompt, in a square of 24 by 24. Others show a telephone."""


def server_icons() -> list[Icon]:
    """The icon of the server, drawn for any size, and as a bitmap for clients that show no SVG."""
    bitmap = as_data_uri(_BITMAP.read_bytes(), "image/png")
    return [_drawn(ICON), Icon(src=bitmap, mime_type="image/png", sizes=["48x48"])]


def icons_of(name: str) -> list[Icon]:
    """The icon of a tool or a prompt: white lines on the color of the server's icon."""
    picture = _PICTURES.get(name, _CALL)
    return [
        _drawn(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#fff" stroke-width="1.6" '
            'stroke-linecap="round" stroke-linejoin="round">'
            f'<rect width="24" height="24" rx="5.5" fill="#1257c9" stroke="none"/>{picture}</svg>'
        )
    ]


def _drawn(svg: str) -> Icon:
    return Icon(src=as_data_uri(svg.encode(), "image/svg+xml"), mime_type="image/svg+xml", sizes=["any"])
