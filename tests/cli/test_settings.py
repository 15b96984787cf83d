"""Every setting is checked when a server starts, over stdio and HTTP alike: one line on stderr, and exit code 2."""

import os
from dataclasses import fields
from pathlib import Path

import pytest

from kallyai_mcp.settings import Settings, variable_of
from tests.cli.machine import run_in_process
from tests.processes import run

NOT_TOKENS = {"two words": "not a token", "schlüssel": "not a token", "tab\tinside": "not a token"}
NOT_NUMBERS = dict.fromkeys(("4155551234", "+1415,x", "+", "+1 415", "+1415*", "+\u0661"), " is no number or prefix")
NOT_NUMBERS |= {",": "lists nothing"}
NOT_CALLS = {"-1": "is not a number of calls", "1.5": "is not a number of calls", "many": "is not a number of calls"}
NOT_SECONDS = dict.fromkeys(("soon", "-1", "nan", "inf", "86401"), "is not a number of seconds from 0 to 86400")
NOT_SWITCHES = {"perhaps": "'perhaps' is neither 1 nor 0", "2": "'2' is neither 1 nor 0"}
A_FILE = str(Path(__file__))
NOT_FOLDERS = dict.fromkeys(("~nobody-of-this-name/x",) * (os.name == "posix"), "can't be used as a folder")

BAD: dict[str, dict[str, str]] = {
    "api_url": {
        "http://api.kallyai.com": "http would send the sign-in in the clear",
        "https://me:hush@api.kallyai.com": "a user name, a query or a fragment has no place in it",
        "https://[::1": "not a URL",
    },
    "access_token": NOT_TOKENS,
    "home_override": {"data/calls": "is a relative path", A_FILE: "is a file, not a folder", **NOT_FOLDERS},
    "token_store": {"cloud": "'cloud' is not one of auto, keyring, file"},
    "wait_seconds": {"1801": "'1801' is not a number of seconds from 0 to 1800"},
    "same_call_seconds": NOT_SECONDS,
    "settle_seconds": NOT_SECONDS,
    "late_seconds": NOT_SECONDS,
    "keep_days": {"forever": "is not a number of days from 0 to 36500"},
    "confirm": {"sometimes": "is not one of auto, always, never"},
    "calls_per_hour": NOT_CALLS,
    "calls_per_day": NOT_CALLS,
    "calls_per_number": NOT_CALLS,
    "allow_numbers": NOT_NUMBERS,
    "deny_numbers": NOT_NUMBERS,
    "stop_calls": NOT_SWITCHES,
    "sandbox": NOT_SWITCHES,
    "auth": {"everyone": "is not one of none, secret, caller, oauth"},
    "client_id": NOT_TOKENS,
    "client_secret": NOT_TOKENS,
    "secret_keys": {
        "hush": "not keys of at least 32 bytes in hexadecimal",
        f"{'0123456789abcdef' * 4},": "not keys of at least 32 bytes in hexadecimal",
        "00" * 32: "a key in it is not random",
    },
    "mcp_token": {**NOT_TOKENS, "short": "not a token of at least 16 characters"},
    "allowed_hosts": {"https://phone.example.com": "is no host", "*": "'*' is no host", ",": "lists nothing"},
    "allowed_origins": {"app.example.com": "is no origin", "null": "'null' is no origin"},
    "public_url": {
        "phone.example.com": "not a web address",
        "https://phone.example.com/?a=b": "a query or a fragment",
    },
    "trusted_proxies": {"proxy": "'proxy' is no address or network", "10.0.0.1/8": "is no address"},
    "rate_limit": {"often": "is not a rate such as 300/minute", "0/minute": "is not a rate"},
    "database_url": {
        "mysql://me:hush@db/kallyai": "not the URL of a PostgreSQL database",
        "postgresql://me:hush@[::1/kallyai": "is not a valid URL of a PostgreSQL database",
        "postgresql://me:hush@db/kallyai?hush=1": "is not a valid URL of a PostgreSQL database",
    },
    "user_agent": {"teléfono": "only printable ASCII can be sent in a header"},
    "log_level": {"loud": "'loud' is not one of DEBUG, INFO, WARNING, ERROR"},
    "read_only": NOT_SWITCHES,
    "fast_start": NOT_SWITCHES,
    "log_format": {"xml": "'xml' is not one of text, json"},
}
"""For each setting values that can't be used, and words of the line that says so."""

VARIABLES = {field.name: variable_of(field) for field in fields(Settings)}
HTTP = ("serve", "--transport", "http", "--port", "0")
KEYS = "0123456789abcdef" * 4


def test_no_setting_is_forgotten() -> None:
    assert set(BAD) == set(VARIABLES)


@pytest.mark.parametrize("setting", VARIABLES)
def test_a_bad_value_ends_the_server_with_one_line_and_exit_code_2(tmp_path: Path, setting: str) -> None:
    variable = VARIABLES[setting]
    if setting == "database_url":
        pytest.importorskip("psycopg_pool", reason="needs the extra postgres: kallyai-mcp[postgres]")
    for value, words in BAD[setting].items():
        given = {"SECRET_KEYS": KEYS, variable.removeprefix("KALLYAI_"): value}
        done = run_in_process(tmp_path, *HTTP, **given)

        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith(f"Error: {variable}")
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "hush" not in done.stderr


@pytest.mark.parametrize("arguments", [(), HTTP])
def test_over_stdio_and_http_it_ends_the_process(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    wrong = run(tmp_path, *arguments, ALLOWED_HOSTS="a b")
    misspelled = run(tmp_path, *arguments, MCP_TOKENS="x")
    no_keys = run(tmp_path, *arguments, DATABASE_URL="postgresql://user:hush@127.0.0.1:9/calls")

    for done, words in (
        (wrong, "KALLYAI_ALLOWED_HOSTS: 'a b' is no host such as phone.example.com or phone.example.com:*"),
        (misspelled, "KALLYAI_MCP_TOKENS: there is no such setting; did you mean KALLYAI_MCP_TOKEN?"),
        (no_keys, "KALLYAI_DATABASE_URL needs KALLYAI_SECRET_KEYS"),
    ):
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"Error: {words}")
        assert len(done.stderr.splitlines()) == 1
        assert "hush" not in done.stderr


def test_good_values_are_read() -> None:
    read = Settings.from_env(
        {
            "KALLYAI_ALLOWED_HOSTS": "phone.example.com, phone.example.com:*, [::1]:8000, 10.0.0.1:443",
            "KALLYAI_ALLOWED_ORIGINS": "https://app.example.com, http://localhost:*, vscode-webview://abc",
            "KALLYAI_PUBLIC_URL": "https://phone.example.com/kallyai/",
            "KALLYAI_HOME": "~",
            "KALLYAI_LOG_LEVEL": "debug",
            "KALLYAI_STOP_CALLS": "Yes",
            "KALLYAI_CALLS_PER_DAY": "0",
            "KALLYAI_CONFIRM": " ",  # an empty value counts as not set
            "KALLYAI_MCP_TOKEN": "${user_config.token}",
            "KALLYAI_API_KEY": "of another program",
        }
    )

    assert read.allowed_hosts == ("phone.example.com", "phone.example.com:*", "[::1]:8000", "10.0.0.1:443")
    assert read.allowed_origins == ("https://app.example.com", "http://localhost:*", "vscode-webview://abc")
    assert read.public_url == "https://phone.example.com/kallyai"
    assert read.home == Path.home()
    assert (read.log_level, read.stop_calls, read.calls_per_day, read.confirm) == ("DEBUG", True, 0, None)
    assert read.mcp_token is None
