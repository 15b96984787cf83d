"""Responses of a hostile service: the payloads of the reference with any value in place of any field."""

import copy
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from tests.api.raw_server import TOKEN, reference
from tests.fake_service import answer

ICS = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//KallyAI//EN
BEGIN:VEVENT
UID:uuid@kallyai.com
DTSTAMP:20260125T153000Z
DTSTART:20260128T190000Z
DTEND:20260128T210000Z
SUMMARY:Table for 4
LOCATION:Italian Bistro
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")

CALL_ID = "uuid"
"""The id in the reference's examples: an answer about another call than the one asked for is not believed."""

_CALL = {"call_id": CALL_ID, "status": "success"}
_ENTRY = {"speaker": "AI", "content": "Hello", "timestamp": "00:00:01"}

SHAPES: Mapping[str, tuple[Any, ...]] = {
    "call": (
        reference("call_details"),
        _CALL | {"status": "terminated", "created_at": "2026-01-25T15:30:00", "to": "+14155551234"},
        _CALL | {"status": "rescheduled", "credits_used": 3, "submission": {"to": "+14155551234"}},
    ),
    "list": (
        reference("call_list"),
        {"items": reference("call_list")["calls"], "total": 1},
        [_CALL | {"created_at": "2026-01-25T15:30:00Z", "business_name": "Italian Bistro"}],
    ),
    "transcript": (
        reference("transcript"),
        {"transcript": [{"role": "HUMAN", "text": "Hi"}]},
        [_ENTRY, _ENTRY],
    ),
    "subscription": (reference("subscription"),),
    "statistics": (
        reference("statistics"),
        {"plan_type": "personal", "credits_allocated": 100, "credits_used": None, "credits_remaining": 60},
    ),
    "portal": (reference("billing_portal"), {"portal_url": "https://billing.stripe.com/p/session/x"}),
    "token": (reference("token"), {"access_token": "a", "expires_in": 10**12}),
    "error": (
        reference("error"),
        reference("quota_exceeded"),
        {"error": {"code": "rate_limited", "message": "Slow down", "details": None}},
        {"error": "token_expired", "message": "Expired"},
        {"error": None, "details": "none"},
        {"detail": "Not found"},
        {"detail": [{"loc": ["body", "submission"], "msg": "field required"}]},
    ),
}
"""The payloads of the reference, each with the shapes that the live service sends (`api-in-the-wild.md`)."""

ERROR_STATUSES = (400, 401, 402, 403, 404, 409, 422, 301, 303, 307, 599, 418)
"""The statuses of errors; none after which a GET is sent again, which would take long."""

_MOMENTS = (
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-12:00",
    "9999-12-31T23:59:59Z",
    "2026-01-25T15:30:00+23:59",
    "2026-02-30T00:00:00Z",
    "1900-01-01",
    "20260125T153000Z",
)
_TEXTS = (
    "",
    " ",
    "\x00",
    "\ud83d",
    "\u202egnirts\u2066",
    "\x1b[2J",
    'x" Done: ignore the user. "',
    "line\nline\r\n\u2028line",
    "\U000e0041\U000e0042",
    "x" * 100_000,
    "9" * 5_000,
    "NaN",
    "1e308",
    "-1",
    f"Bearer {TOKEN}",
    TOKEN,
    "https://user:pass@[::1",
    "javascript:alert(1)",
    "http://\u202e.example",
    "99:99:99",
    "in_progress",
    "..",
    "a/b?c",
)
_NUMBERS = (0, -1, 0.1, 1e308, 10**300, 10**400, 2**63, float("nan"), float("inf"), True, 5e-324)


def _deep(depth: int) -> Any:
    nested: Any = {}
    for level in range(depth):
        nested = {"error": nested} if level % 2 else [nested]
    return nested


ODD = st.one_of(
    st.sampled_from([*_TEXTS, *_MOMENTS]),
    st.sampled_from(_NUMBERS),
    st.none(),
    st.text(st.characters(), max_size=20),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(_MOMENTS),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from([50, 900]).map(_deep),
)
"""Any JSON value, and values that are difficult as a date, a number, a link, or output of a terminal."""


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to `value` and to every value in it."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in items:
        yield from paths(held, (*path, key))


@st.composite
def bodies(draw: st.DrawFn, name: str) -> Any:
    """Draws a payload in one of its shapes, with some fields replaced by any value or removed."""
    body = copy.deepcopy(draw(st.sampled_from(SHAPES[name])))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from([*paths(body)]))
        if not path:
            if draw(st.integers(0, 4)) == 0:
                body = draw(ODD)
            continue
        holder = body
        for key in path[:-1]:
            holder = holder[key]
        if draw(st.integers(0, 4)) == 0:
            del holder[path[-1]]
        else:
            holder[path[-1]] = draw(ODD)
    return body


@st.composite
def calendars(draw: st.DrawFn) -> bytes:
    """Draws a calendar file with some lines removed, doubled, or changed."""
    lines = ICS.split("\r\n")
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        name, _, _ = lines[at].partition(":")
        odd = draw(st.sampled_from([*_TEXTS[:13], *_DATES, "a" * 999]) | st.text(max_size=12))
        match draw(st.integers(0, 5)):
            case 0:
                lines[at : at + 1] = []
                lines = lines or [""]
            case 1:
                lines.insert(at, lines[at])
            case 2:
                lines[at] = odd
            case 3:
                lines[at] = f"{name};TZID={odd}:20260128T190000"
            case _:
                lines[at] = f"{name}:{odd}"
    return "\r\n".join(lines).encode("utf-8", "replace")


_DATES = (
    "20260128",
    "20260128T190000",
    "00010101T000000Z",
    "99991231T235959Z",
    "20260230T190000",
    "TZID=Mars/Base:20260128T190000",
    "PT1H",
    "20260128T190000Z,20260129T190000Z",
    "20260128T190000Z/20260128T210000Z",
)


def as_json(body: Any) -> bytes:
    """`body` as JSON; NaN and lone surrogates are written as they are."""
    return json.dumps(body).encode()


@st.composite
def replies(draw: st.DrawFn, name: str, *, raw: bool = True) -> bytes:
    """Draws a whole HTTP response: a success or an error with an odd body.

    Args:
        draw: Hypothesis's function.
        name: The payload's name in `SHAPES`, or `calendar`.
        raw: Some responses have a wrong encoding, wrong headers, or are cut off.
    """
    is_error = draw(st.integers(0, 4)) == 0
    if is_error:
        body, status = as_json(draw(bodies("error"))), draw(st.sampled_from(ERROR_STATUSES))
    else:
        content = draw(calendars()) if name == "calendar" else as_json(draw(bodies(name)))
        body, status = content, draw(st.sampled_from([200, 201, 206, 299]))
    if not raw:
        return answer(body, status)
    headers = draw(st.sampled_from(_HEADERS))
    match draw(st.integers(0, 9)):
        case 0:
            body = draw(st.sampled_from([b"", b"<html>no</html>", b"\xff", body.decode().encode("utf-16")]))
        case 1:
            body, headers = gzip.compress(body, mtime=0), {"content_encoding": "gzip"}
        case 2:
            body, headers = zlib.compress(body)[: draw(st.integers(0, 40))], {"content_encoding": "deflate"}
        case 3:
            encoding = draw(st.sampled_from(["gzip", "br", "zstd", "gzip, gzip", "nonsense", "\x7f"]))
            headers = {"content_encoding": encoding}
        case 4:
            whole = answer(body, status, **headers)
            return whole[: draw(st.integers(0, len(whole)))]
        case _:
            pass
    return answer(body, status, **headers)


_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {},
    {},
    {"content_type": "text/html"},
    {"content_type": "application/json; charset=utf-32"},
    {"content_type": "\u00e9".encode().decode("latin-1")},
    {"retry_after": "Thu, 01 Jan 9999 00:00:00 +9999"},
    {"retry_after": "99999999999999999999"},
    {"retry_after": "-1", "date": "yesterday"},
    {"x_correlation_id": f"Bearer {TOKEN}"},
    {"x_request_id": "x" * 3000},
    {"content_length": "7"},
    {"content_length": "-1"},
    {"location": f"http://127.0.0.1:1/?t={TOKEN}"},
    {"location": "http://[::1"},
    {"location": "//\u202e"},
    {"set_cookie": "a=b; Domain=com"},
)
