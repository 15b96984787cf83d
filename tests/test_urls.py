"""What counts as this machine, what an origin is, and that tokens go over https or stay on this
machine.
"""

import pytest

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.urls import check_base_url, is_loopback, origin_of, server_of
from tests.api.raw_server import USER_AGENT

GOOD = {
    "https://api.kallyai.com/": "https://api.kallyai.com",
    "HTTPS://API.KallyAI.com:443//": "https://api.kallyai.com",
    "https://gateway.example:8443/Kally/": "https://gateway.example:8443/Kally",
    "http://LOCALHOST:80": "http://localhost",
    "http://127.8.9.1:8765": "http://127.8.9.1:8765",
    "http://[::ffff:127.0.0.1]:8765": "http://[::ffff:127.0.0.1]:8765",
    "http://[::1]:8765": "http://[::1]:8765",
    "https://[2001:db8::1]": "https://[2001:db8::1]",
}

BAD = (
    "http://api.kallyai.com",
    "http://localhost.example",
    "http://0.0.0.0:8765",
    "http://[::ffff:10.0.0.1]",
    "ftp://127.0.0.1",
    "//api.kallyai.com",
    "https:///v1",
    "",
    "https://api.kallyai.com:99999",
    "https://[::1",
    "https://me:s3cret@api.kallyai.com",
    "https://@api.kallyai.com",
    "https://api.kallyai.com?",
    "https://api.kallyai.com/?token=s3cret",
    "https://api.kallyai.com#",
    "https://api.kallyai.com\\@evil.example",
    "https://api.kal\nlyai.com",
    "https://api.kallyai.com\u202e",
)


def test_https_and_this_machine_are_accepted() -> None:
    for url, kept in GOOD.items():
        assert check_base_url(url) == kept
    for url in BAD:
        with pytest.raises(ValueError, match=r".") as caught:
            check_base_url(url)
        message = str(caught.value)
        assert "\n" not in message
        assert "s3cret" not in message
        with pytest.raises(ValueError, match=r".") as again:
            KallyAI(url, user_agent=USER_AGENT)
        assert str(again.value) == message
    with pytest.raises(ValueError, match=r"phone\.example\.com"):
        check_base_url("phone", "https://phone.example.com")
    with pytest.raises(ValueError, match="not a web address"):
        KallyAI(f"https://xn--{'a' * 70}\u00e4.example", user_agent=USER_AGENT)


def test_loopback_hosts_and_origins_are_recognized() -> None:
    assert all(map(is_loopback, ("localhost", "LocalHost", "127.8.9.1", "::1", "::ffff:127.0.0.1")))
    assert not any(
        map(
            is_loopback,
            (None, "", "localhost.example", "0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1"),  # noqa: S104
        )
    )
    assert origin_of("https://api.kallyai.com:8443/v") == "https://api.kallyai.com:8443"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://Phone.example.com./x", "https://phone.example.com"),
        ("https://phone.example.com.:443", "https://phone.example.com"),
        ("http://127.0.0.1:80", "http://localhost"),
        ("http://[::ffff:127.0.0.1]:8000", "http://localhost:8000"),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
        ("https://localhost.example.com", "https://localhost.example.com"),
    ],
)
def test_a_server_has_one_name(url: str, server: str) -> None:
    assert server_of(url) == server
