"""Every setting is checked when a server starts, over stdio and HTTP alike: one line on stderr, and
exit code 2.
"""

import os
from pathlib import Path

import pytest

from kallyai_mcp.settings import Settings
from tests.cli.machine import run_in_process
from tests.processes import run

KEYS = "0123456789abcdef" * 4

BAD: dict[str, dict[str, str]] = {
    "API_URL": {
        "http://api.kallyai.com": "http would send the sign-in in the clear",
        "https://me:hush@api.kallyai.com": "a user name, a query or a fragment has no place in it",
        "https://[::1": "not a URL",
    },
    "ACCESS_TOKEN": dict.fromkeys(("two words", "schlüssel", "tab\tinside"), "not a token"),
    "HOME": {
        "data/calls": "is a relative path",
        **(
            {"~nobody-of-this-name/x": "names no user of this machine"}
            if os.name == "posix"
            else {}
        ),
    },
    "CONFIRM": {"sometimes": "is not one of auto, always, never"},
    "LOG_LEVEL": {"loud": "'loud' is not one of DEBUG, INFO, WARNING, ERROR"},
    "LATE_SECONDS": dict.fromkeys(
        ("soon", "-1", "nan", "inf", "86401"), "is not a number from 0 to 86400"
    ),
    "CALLS_PER_DAY": dict.fromkeys(("-1", "1.5", "many"), "is not a number of calls"),
    "DENY_NUMBERS": dict.fromkeys(
        ("4155551234", "+1415,x", "+1 415", "+1415*", "+\u0661"), " is no number or prefix"
    ),
    "STOP_CALLS": {"perhaps": "'perhaps' is neither 1 nor 0"},
    "SECRET_KEYS": {
        f"{KEYS},": "not random keys of at least 32 bytes in hexadecimal",
        "00" * 32: "not random keys",
    },
    "MCP_TOKEN": dict.fromkeys(
        ("two words of many characters", "short"), "not a token of at least 16 characters"
    ),
    "ALLOWED_HOSTS": {
        "https://phone.example.com": "is no host",
        "*": "'*' is no host",
        ",": "lists nothing",
    },
    "ALLOWED_ORIGINS": {"app.example.com": "is no origin", "null": "'null' is no origin"},
    "PUBLIC_URL": {
        "phone.example.com": "not a web address",
        "https://phone.example.com/?a=b": "a query or a fragment",
    },
    "TRUSTED_PROXIES": {"proxy": "'proxy' is no address or network", "10.0.0.1/8": "is no address"},
    "RATE_LIMIT": {"often": "is not a rate such as 300/minute", "0/minute": "is not a rate"},
    "DATABASE_URL": {
        "mysql://me:hush@db/kallyai": "not the URL of a PostgreSQL database",
        "postgresql://me:hush@[::1/kallyai": "is not a valid URL of a PostgreSQL database",
        "postgresql://me:hush@db/kallyai?hush=1": "is not a valid URL of a PostgreSQL database",
    },
    "USER_AGENT": {"teléfono": "only printable ASCII can be sent in a header"},
}
"""Values that can't be used, and words of the line that says so; one setting for each way to read a
value.
"""

HTTP = ("serve", "--transport", "http", "--port", "0")


def test_a_bad_value_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("psycopg_pool", reason="needs the extra postgres: kallyai-mcp[postgres]")
    for name, values in BAD.items():
        for value, words in values.items():
            done = run_in_process(tmp_path, *HTTP, **{"SECRET_KEYS": KEYS, name: value})

            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith(f"Error: KALLYAI_{name}")
            assert words in done.stderr
            assert len(done.stderr.splitlines()) == 1
            assert "hush" not in done.stderr


@pytest.mark.programs
def test_over_stdio_and_http_it_ends_the_process(tmp_path: Path) -> None:
    shared = {"DATABASE_URL": "postgresql://user:hush@127.0.0.1:9/calls"}
    for done, words in (
        (
            run(tmp_path, MCP_TOKENS="x"),
            "KALLYAI_MCP_TOKENS: there is no such setting; did you mean KALLYAI_MCP_TOKEN?",
        ),
        (
            run_in_process(tmp_path, *HTTP, **shared),
            "KALLYAI_DATABASE_URL needs KALLYAI_SECRET_KEYS",
        ),
    ):
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"Error: {words}")
        assert len(done.stderr.splitlines()) == 1
        assert "hush" not in done.stderr


GOOD: dict[str, tuple[str, str, object]] = {
    "ALLOWED_HOSTS": (
        "allowed_hosts",
        "phone.example.com, phone.example.com:*, [::1]:8000, 10.0.0.1:443",
        ("phone.example.com", "phone.example.com:*", "[::1]:8000", "10.0.0.1:443"),
    ),
    "ALLOWED_ORIGINS": (
        "allowed_origins",
        "https://app.example.com, http://localhost:*, vscode-webview://abc",
        ("https://app.example.com", "http://localhost:*", "vscode-webview://abc"),
    ),
    "PUBLIC_URL": (
        "public_url",
        "http://phone.example.com/kallyai/",
        "http://phone.example.com/kallyai",
    ),
    "HOME": ("home", "~", Path.home()),
    "LOG_LEVEL": ("log_level", "debug", "DEBUG"),
    "STOP_CALLS": ("stop_calls", "Yes", True),
    "CALLS_PER_DAY": ("calls_per_day", "0", 0),
    "CONFIRM": ("confirm", " ", None),  # an empty value counts as not set
    "MCP_TOKEN": ("mcp_token", "${user_config.token}", None),
}
"""The attribute of a setting, a value that can be used, and what is read."""


@pytest.mark.parametrize("name", GOOD)
def test_a_good_value_is_read(name: str) -> None:
    attribute, value, read = GOOD[name]

    assert getattr(Settings.from_env({f"KALLYAI_{name}": value}), attribute) == read


def test_the_key_of_another_program_is_ignored() -> None:
    assert Settings.from_env({"KALLYAI_API_KEY": "of another program"}) == Settings.from_env({})


@pytest.mark.parametrize(
    ("settings", "calls_nobody"),
    [
        (Settings(), False),
        (Settings(sandbox=True), True),
        (Settings(api_url="http://127.0.0.1:8787"), True),
        (Settings(api_url="http://localhost:8787"), True),
    ],
)
def test_a_kallyai_on_this_machine_calls_nobody(settings: Settings, calls_nobody: bool) -> None:
    assert settings.calls_nobody is calls_nobody
