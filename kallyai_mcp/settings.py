"""Every setting: environment variables with the prefix `KALLYAI_`, read once into one frozen
object.

The functions at the top read a value from a text that is not empty. They raise `ValueError` with a
message that stands after the setting's name, says what it takes, and quotes no secret.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from kallyai_mcp import __version__
from kallyai_mcp.urls import check_base_url

TokenStoreChoice = Literal["auto", "keyring", "file"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["text", "json"]
"""Text for people, or one JSON object per line."""

Confirm = Literal["auto", "always", "never"]
"""When to ask the user before a call. `auto`: only if the call has a risk flag."""

Auth = Literal["none", "secret", "caller", "oauth"]
"""Who may use the HTTP server: any client on this machine, clients with `mcp_token`, clients with a
KallyAI access token, or users who sign in here.
"""

WAIT_LIMIT = 1800
"""The most seconds that a tool waits: as long as the API client waits for a phone call."""

PREFIX = "KALLYAI_"
_SIMILAR = 0.8
"""From which similarity on (0 to 1, of `difflib`) an unknown variable counts as a misspelled
setting.
"""

MAKE_KEY = (
    f'{"python" if sys.platform == "win32" else "python3"} -c "import secrets; '
    'print(secrets.token_hex(32))"'
)
"""A command that prints a key, in every shell of this system.

Many systems have no `python`, but only `python3`.
"""

_FEWEST_BYTES = 8
"""The fewest different bytes in a random key. A placeholder, such as only zeros, has fewer."""

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}

_NAME = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_PORT = r"(?::(?:\*|[0-9]{1,5}))?"


class SettingsError(ValueError):
    """The value of a setting is not valid.

    The message is one line that names the setting and says what it takes.
    """


def _one_of(choices: object) -> Callable[[str], Any]:
    """A function that reads one of the texts of the `Literal` `choices`; upper and lower case are
    equal.
    """
    by_lower_case = {choice.lower(): choice for choice in get_args(choices)}

    def read(text: str) -> Any:
        if text.lower() not in by_lower_case:
            raise ValueError(f"{text!r} is not one of {', '.join(by_lower_case.values())}")
        return by_lower_case[text.lower()]

    return read


def _number(most: int) -> Callable[[str], float]:
    """A function that reads a number from 0 to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not 0 <= value <= most:
            raise ValueError(f"{text!r} is not a number from 0 to {most}")
        return value

    return read


def _text(pattern: str, refusal: str, *, quoted: bool = False) -> Callable[[str], str]:
    """A function that reads a text that matches `pattern`; `refusal` is the message for another
    one.
    """

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{text!r} {refusal}" if quoted else refusal)
        return text

    return read


def _listed(pattern: str, refusal: str) -> Callable[[str], tuple[str, ...]]:
    """A function that reads items separated by commas; each must match `pattern`."""
    read_item = _text(pattern, refusal, quoted=True)

    def read(text: str) -> tuple[str, ...]:
        if not (
            items := tuple(read_item(part.strip()) for part in text.split(",") if part.strip())
        ):
            raise ValueError(f"{text!r} lists nothing")
        return items

    return read


def _switch(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError(f"{text!r} is neither 1 nor 0")
    return text.lower() in _TRUE


def _calls(text: str) -> int:
    return int(_text("[0-9]{1,6}", "is not a number of calls from 0 to 999999", quoted=True)(text))


def _secret_keys(text: str) -> tuple[bytes, ...]:
    """Keys of at least 32 bytes in hexadecimal, separated by commas."""
    keys = [key.strip() for key in text.split(",")]
    for key in keys:
        if (
            not re.fullmatch("(?:[0-9a-fA-F]{2}){32,}", key)
            or len(set(bytes.fromhex(key))) < _FEWEST_BYTES
        ):
            words = "not random keys of at least 32 bytes in hexadecimal, with commas between them"
            raise ValueError(f"{words}; `{MAKE_KEY}` makes one")
    return tuple(map(bytes.fromhex, keys))


def _folder(text: str) -> Path:
    """The absolute path of a folder, which need not exist. `~` is the user's home folder."""
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{text!r} names no user of this machine") from None
    if not path.is_absolute():
        raise ValueError(
            f"{text!r} is a relative path, which each program reads differently; give the whole "
            "path"
        )
    return path


def _default_home() -> Path:
    """The folder for tokens and state: the platform's data folder for this program.

    On Windows it is outside of AppData. A packaged program, such as Claude Desktop, and all
    programs that it starts have a private copy of AppData, so not all clients would share one
    ledger.
    """
    if sys.platform == "win32":
        return Path.home() / ".kallyai-mcp"
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():
        data = Path.home() / (
            "Library/Application Support" if sys.platform == "darwin" else ".local/share"
        )
    return data / "kallyai-mcp"


def _networks(text: str) -> tuple[str, ...]:
    import ipaddress  # late: few servers are behind a proxy

    entries = _listed(".+", "is no address")(text)
    for entry in entries:
        try:
            ipaddress.ip_network(entry)
        except ValueError:
            raise ValueError(f"{entry!r} is no address or network such as 10.0.0.0/8") from None
    return entries


_public_url = partial(check_base_url, example="https://phone.example.com", plain_http=True)
_token = _text("[!-~]+", "not a token: it has spaces or characters beyond ASCII")
_shared_secret = _text(
    "[!-~]{16,}", "not a token of at least 16 characters, without spaces, in ASCII"
)
_header = _text("[ -~]+", "only printable ASCII can be sent in a header")
_rate = _text(
    "[1-9][0-9]{0,6}/(second|minute|hour|day)", "is not a rate such as 300/minute", quoted=True
)
_database_url = _text(  # `cli.connection` checks the rest of it, which needs the database's library
    "(?i:postgres(?:ql)?)://.*",
    "not the URL of a PostgreSQL database; it should look like "
    "postgresql://user:password@host/database",
)
_numbers = _listed(r"\+[0-9]{1,15}", "is no number or prefix in E.164, such as +1415")
_hosts = _listed(_NAME + _PORT, "is no host such as phone.example.com or phone.example.com:*")
_origins = _listed(
    rf"[A-Za-z][A-Za-z0-9+.-]*://{_NAME}{_PORT}",
    "is no origin of a web page such as https://app.example.com",
)


@dataclass(frozen=True, repr=False)  # a repr would show secrets
class Settings:
    """The checked settings. docs/settings.md says what each is for.

    Each is annotated with the function that reads its value from the environment variable of its
    name.
    """

    api_url: Annotated[str, check_base_url] = "https://api.kallyai.com"
    access_token: Annotated[str | None, _token] = None
    home: Annotated[Path, _folder] = field(default_factory=_default_home)
    token_store: Annotated[TokenStoreChoice, _one_of(TokenStoreChoice)] = "auto"  # noqa: S105 - the name of a store, not a secret
    wait_seconds: Annotated[float, _number(WAIT_LIMIT)] = 45
    same_call_seconds: Annotated[float, _number(86400)] = 3600
    settle_seconds: Annotated[float, _number(86400)] = 300
    late_seconds: Annotated[float, _number(86400)] = 1800
    keep_days: Annotated[float, _number(36500)] = 90
    confirm: Annotated[Confirm | None, _one_of(Confirm)] = None
    """None means `auto`, but `never` on the embedded sandbox."""
    calls_per_hour: Annotated[int | None, _calls] = None
    calls_per_day: Annotated[int | None, _calls] = None
    calls_per_number: Annotated[int | None, _calls] = None
    allow_numbers: Annotated[tuple[str, ...], _numbers] = ()
    """Numbers and prefixes in E.164; empty for all."""
    deny_numbers: Annotated[tuple[str, ...], _numbers] = ()
    stop_calls: Annotated[bool, _switch] = False
    read_only: Annotated[bool, _switch] = False
    sandbox: Annotated[bool, _switch] = False
    auth: Annotated[Auth, _one_of(Auth)] = "none"
    client_id: Annotated[str | None, _token] = None
    client_secret: Annotated[str | None, _token] = None
    secret_keys: Annotated[tuple[bytes, ...], _secret_keys] = ()
    """The first one encrypts, all of them decrypt."""
    mcp_token: Annotated[str | None, _shared_secret] = None
    allowed_hosts: Annotated[tuple[str, ...], _hosts] = ()
    """`Host` headers, with `:*` for any port; so are the origins, which are `Origin` headers."""
    allowed_origins: Annotated[tuple[str, ...], _origins] = ()
    public_url: Annotated[str | None, _public_url] = None
    trusted_proxies: Annotated[tuple[str, ...], _networks] = ()
    rate_limit: Annotated[str, _rate] = "300/minute"
    database_url: Annotated[str | None, _database_url] = None
    """None for an SQLite file in `home`."""
    user_agent: Annotated[str, _header] = f"kallyai-mcp/{__version__}"
    log_level: Annotated[LogLevel, _one_of(LogLevel)] = "WARNING"
    log_format: Annotated[LogFormat, _one_of(LogFormat)] = "text"
    fast_start: Annotated[bool, _switch] = True

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Reads the settings from `environ` (default: the environment of this process); raises
        `SettingsError`.

        An empty variable counts as not set. An unknown variable is ignored, unless its name is
        similar to a setting's.
        """
        known = {f"{PREFIX}{each.name.upper()}": each for each in fields(cls)}
        read = {}
        for name, text in _given(os.environ if environ is None else environ).items():
            if name in known:
                read[known[name].name] = _value(name, text, get_args(known[name].type)[1])
            else:
                _check_spelling(name, known)
        if "database_url" in read and "secret_keys" not in read:
            needs = "KALLYAI_DATABASE_URL needs KALLYAI_SECRET_KEYS, the same for all workers"
            raise SettingsError(f"{needs}; `{MAKE_KEY}` makes one.")
        return cls(**read)


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of this program that are set, in the order of their names."""
    texts = {name: environ[name].strip() for name in sorted(environ) if name.startswith(PREFIX)}
    return {name: text for name, text in texts.items() if not _is_left_out(text)}


def _is_left_out(text: str) -> bool:
    """Whether a variable counts as not set. Some clients pass an option's name as its value."""
    return not text or text.startswith("${user_config.")


def _value(name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from None


def _check_spelling(name: str, known: Iterable[str]) -> None:
    from difflib import get_close_matches  # imported late: hardly ever needed

    names = [other.removeprefix(PREFIX) for other in known]
    if similar := get_close_matches(name.removeprefix(PREFIX), names, 1, _SIMILAR):
        raise SettingsError(f"{name}: there is no such setting; did you mean {PREFIX}{similar[0]}?")
