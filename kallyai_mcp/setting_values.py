"""Reads the values of settings. Each function takes a text that is not empty, and returns the value.

Each raises `ValueError` with a message that stands after the setting's name: what the
setting takes. It quotes no secret.
"""

import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

_PYTHON = "python" if sys.platform == "win32" else "python3"
MAKE_KEY = f'{_PYTHON} -c "import secrets; print(secrets.token_hex(32))"'
"""A command that prints a key, in every shell of this system. Many systems have no `python`, but only `python3`."""

_SHORTEST_SECRET = 16
_FEWEST_BYTES = 8
"""The fewest different bytes in a random key. A placeholder, such as only zeros, has fewer."""

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}

_NAME = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_PORT = r"(?::(?:\*|[0-9]{1,5}))?"


def one_of(choices: object) -> Callable[[str], Any]:
    """A function that reads one of the texts of the `Literal` `choices`; upper and lower case are equal."""
    by_lower_case = {choice.lower(): choice for choice in get_args(choices)}

    def read(text: str) -> Any:
        if text.lower() not in by_lower_case:
            names = ", ".join(by_lower_case.values())
            raise ValueError(f"{text!r} is not one of {names}")
        return by_lower_case[text.lower()]

    return read


def amount(unit: Literal["seconds", "days"], most: int) -> Callable[[str], float]:
    """A function that reads a number of `unit` from 0 to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not 0 <= value <= most:
            raise ValueError(f"{text!r} is not a number of {unit} from 0 to {most}")
        return value

    return read


def switch(text: str) -> bool:
    """A switch: on (1, true, yes) or off (0, false, no)."""
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError(f"{text!r} is neither 1 nor 0")
    return text.lower() in _TRUE


def number_of_calls(text: str) -> int:
    """A number of calls."""
    if not re.fullmatch("[0-9]{1,6}", text):
        raise ValueError(f"{text!r} is not a number of calls from 0 to 999999")
    return int(text)


def rate(text: str) -> str:
    """A number of requests per unit of time, such as 300/minute."""
    if not re.fullmatch(r"[1-9][0-9]{0,6}/(second|minute|hour|day)", text):
        raise ValueError(f"{text!r} is not a rate such as 300/minute")
    return text


def token(text: str) -> str:
    """A secret or a name that is sent in a header: printable ASCII without spaces."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("not a token: it has spaces or characters beyond ASCII")
    return text


def shared_secret(text: str) -> str:
    """A secret that clients must send: a `token` that is long enough."""
    if len(token(text)) < _SHORTEST_SECRET:
        raise ValueError(f"too short to keep anybody out; {_SHORTEST_SECRET} characters do")
    return text


def secret_keys(text: str) -> tuple[bytes, ...]:
    """Keys of at least 32 bytes in hexadecimal, separated by commas."""
    keys = [key.strip() for key in text.split(",")]
    if not all(re.fullmatch("(?:[0-9a-fA-F]{2}){32,}", key) for key in keys):
        raise ValueError(
            f"not keys of at least 32 bytes in hexadecimal, with commas between them; `{MAKE_KEY}` makes one"
        )
    if any(len(set(bytes.fromhex(key))) < _FEWEST_BYTES for key in keys):
        raise ValueError(f"a key in it is not random; `{MAKE_KEY}` makes one")
    return tuple(map(bytes.fromhex, keys))


def header(text: str) -> str:
    """The value of a header: printable ASCII."""
    if not text.isascii() or not text.isprintable():
        raise ValueError("only printable ASCII can be sent in a header")
    return text


def folder(text: str) -> Path:
    """The absolute path of a folder, which need not exist. `~` is the user's home folder."""
    try:
        path = Path(text).expanduser()
        is_file = _is_file(path)
    except (RuntimeError, OSError):  # no such user; a name that is too long, or a folder that can't be entered
        raise ValueError(f"{text!r} can't be used as a folder") from None
    if not path.is_absolute():
        raise ValueError(f"{text!r} is a relative path, which each program reads differently; give the whole path")
    if is_file:
        raise ValueError(f"{text!r} is a file, not a folder")
    return path


def _is_file(path: Path) -> bool:
    try:
        return not stat.S_ISDIR(path.stat().st_mode)  # since Python 3.14, Path.exists() hides why it can't tell
    except (FileNotFoundError, NotADirectoryError):
        return False


def listed(pattern: str, refusal: str) -> Callable[[str], tuple[str, ...]]:
    """A function that reads items separated by commas.

    Each item must match `pattern`. `refusal` is the message for one that does not, which stands after the item.
    """

    def read(text: str) -> tuple[str, ...]:
        items = tuple(item for item in (part.strip() for part in text.split(",")) if item)
        if wrong := [item for item in items if not re.fullmatch(pattern, item)]:
            raise ValueError(f"{wrong[0]!r} {refusal}")
        if not items:
            raise ValueError(f"{text!r} lists nothing")
        return items

    return read


numbers = listed(r"\+[0-9]{1,15}", "is no number or prefix in E.164, such as +1415")
"""Numbers and prefixes in E.164. Other entries are refused, because they would match no number."""

hosts = listed(_NAME + _PORT, "is no host such as phone.example.com or phone.example.com:*")
"""Values of the `Host` header."""

origins = listed(
    rf"[A-Za-z][A-Za-z0-9+.-]*://{_NAME}{_PORT}", "is no origin of a web page such as https://app.example.com"
)
"""Values of the `Origin` header."""


def networks(text: str) -> tuple[str, ...]:
    """IP addresses and networks."""
    import ipaddress  # late: few servers are behind a proxy

    entries = listed(".+", "is no address")(text)
    for entry in entries:
        try:
            ipaddress.ip_network(entry)
        except ValueError:
            raise ValueError(f"{entry!r} is no address or network such as 10.0.0.0/8") from None
    return entries


def public_url(text: str) -> str:
    """An http or https URL without a user name, a query, and a fragment. Slashes at the end are removed."""
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not text.isprintable() or any(char in text for char in " \\@?#"):
        raise ValueError("not a web address; it should look like https://phone.example.com")
    return text.rstrip("/")


def database_url(text: str) -> str:
    """The URL of a PostgreSQL database. `cli.connection` checks the rest of it, which needs the database's library."""
    if not re.match("(?i:postgres(?:ql)?)://", text):
        raise ValueError(
            "not the URL of a PostgreSQL database; it should look like postgresql://user:password@host/database"
        )
    return text
