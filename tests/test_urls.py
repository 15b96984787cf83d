"""What counts as this machine, what an origin is, and that tokens go over https or stay on this machine."""

import pytest

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.urls import check_base_url, is_loopback, origin_of
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
        ("http://[::ffff:127.0.0.1]:8765", "http://[::ffff:127.0.0.1]:8765"),
        ("http://[::1]:8765", "http://[::1]:8765"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]"),
    ],
)
def test_https_and_this_machine_are_accepted(url: str, kept: str) -> None:
    assert check_base_url(url) == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://api.kallyai.com",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://0.0.0.0:8765",
        "http://[::2]",
        "http://10.0.0.1",
        "http://[::ffff:10.0.0.1]",
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
        check_base_url(url)
    message = str(caught.value)
    assert "\n" not in message
    assert "s3cret" not in message
    with pytest.raises(ValueError, match=r".") as again:
        KallyAI(url, user_agent=USER_AGENT)
    assert str(again.value) == message


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_hosts_are_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", [None, "", "localhost.example", "0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1"])  # noqa: S104
def test_other_hosts_are_not_this_machine(host: str | None) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.KallyAI.com", "https://api.kallyai.com"),
        ("https://api.kallyai.com:443/", "https://api.kallyai.com"),
        ("https://api.kallyai.com:8443/v", "https://api.kallyai.com:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_an_example_of_the_caller_is_in_the_error() -> None:
    with pytest.raises(ValueError, match=r"phone\.example\.com"):
        check_base_url("phone", "https://phone.example.com")


def test_a_host_name_that_can_not_be_one_is_refused() -> None:
    with pytest.raises(ValueError, match="not a web address"):
        KallyAI(f"https://xn--{'a' * 70}\u00e4.example", user_agent=USER_AGENT)
