"""Tokens go over https, or stay on this machine."""

import pytest

from kallyai_mcp.api.client import KallyAI, check_api_url
from kallyai_mcp.api.urls import is_loopback
from tests.api.raw_server import USER_AGENT


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://api.kallyai.com", "https://api.kallyai.com"),
        ("https://api.kallyai.com/", "https://api.kallyai.com"),
        ("HTTPS://API.KallyAI.com:443//", "https://api.kallyai.com"),
        ("https://gateway.example:8443/Kally/", "https://gateway.example:8443/Kally"),
        ("http://localhost:8765/", "http://localhost:8765"),
        ("http://LOCALHOST:80", "http://localhost"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("http://127.8.9.1", "http://127.8.9.1"),
        ("http://[::1]:8765", "http://[::1]:8765"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]"),
    ],
)
def test_https_and_this_machine_are_accepted(url: str, kept: str) -> None:
    assert check_api_url(url) == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://api.kallyai.com",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://0.0.0.0:8765",
        "http://[::2]",
        "http://10.0.0.1",
        "ftp://127.0.0.1",
        "file:///etc/hosts",
        "//api.kallyai.com",
        "api.kallyai.com",
        "https://",
        "https:///v1",
        "",
        "https://api.kallyai.com:port",
        "https://api.kallyai.com:99999",
        "https://[::1",
        "https://me:s3cret@api.kallyai.com",
        "https://@api.kallyai.com",
        "https://api.kallyai.com?",
        "https://api.kallyai.com/?token=s3cret",
        "https://api.kallyai.com#",
        "https://api.kallyai.com\\@evil.example",
        "https://api.kal\nlyai.com",
        "https://api.kallyai.com/ v1",
        "https://api.kallyai.com\u202e",
    ],
)
def test_everything_else_is_refused_in_one_line_that_repeats_nothing(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_api_url(url)
    message = str(caught.value)
    assert "\n" not in message
    assert "s3cret" not in message
    with pytest.raises(ValueError, match=r".") as again:
        KallyAI(url, user_agent=USER_AGENT)
    assert str(again.value) == message


def test_no_host_is_not_this_machine() -> None:
    assert not is_loopback(None)


def test_a_host_name_that_can_not_be_one_is_refused() -> None:
    with pytest.raises(ValueError, match="not a web address"):
        KallyAI(f"https://xn--{'a' * 70}\u00e4.example", user_agent=USER_AGENT)
