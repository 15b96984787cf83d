"""Which answer of KallyAI is news about how a call ended."""

import pytest

from kallyai_mcp.calls.known_end import Detail, KnownEnd

HIGHLIGHTS, CALENDAR, TRANSCRIPT = Detail


def end(status: str = "success", *details: Detail, reached: bool | None = True) -> KnownEnd:
    return KnownEnd(status, reached, frozenset(details))


@pytest.mark.parametrize(
    ("news", "known"),
    [
        (end("busy", reached=False), end("analyzing", reached=None)),
        (end(reached=True), end("busy", reached=False)),
        (end("busy", reached=False), end("failed", reached=None)),
        (end("success", HIGHLIGHTS), end("success", CALENDAR, TRANSCRIPT)),
        (end("success", HIGHLIGHTS, CALENDAR), end("success", HIGHLIGHTS, TRANSCRIPT)),
        (end("success", TRANSCRIPT), end("success")),
    ],
)
def test_an_end_is_news(news: KnownEnd, known: KnownEnd) -> None:
    assert news.says_more_than(known)


@pytest.mark.parametrize(
    ("news", "known"),
    [
        (end(), end()),
        (end("analyzing", HIGHLIGHTS), end("busy", reached=None)),
        (end("success", HIGHLIGHTS, reached=None), end("success", reached=False)),
        (end("failed", HIGHLIGHTS, CALENDAR), end("success")),
        (end("success", CALENDAR, TRANSCRIPT), end("success", HIGHLIGHTS)),
    ],
)
def test_an_end_is_no_news(news: KnownEnd, known: KnownEnd) -> None:
    assert not news.says_more_than(known)


@pytest.mark.parametrize(
    ("known", "is_whole"),
    [
        (end("success", HIGHLIGHTS, CALENDAR), True),
        (end("success", HIGHLIGHTS), False),
        (end("busy", HIGHLIGHTS, CALENDAR, reached=False), False),
        (end("analyzing", HIGHLIGHTS, CALENDAR), False),
    ],
)
def test_kallyai_has_no_more_to_say(known: KnownEnd, is_whole: bool) -> None:
    assert known.is_whole is is_whole
