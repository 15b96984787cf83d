"""Reads the values of settings. Each function takes a text that is not empty, and returns the value.

Each raises `ValueError` with a message, in the reader's language, that stands after the setting's name: what the
setting takes. It quotes no secret.
"""

import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from kallyai_mcp.languages import invalid, localized

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
            raise invalid(f"{text!r} is not one of {names}", f"{text!r} no es ninguno de estos: {names}")
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
            units = localized(unit, {"seconds": "segundos", "days": "días"}[unit])
            raise invalid(
                f"{text!r} is not a number of {units} from 0 to {most}",
                f"{text!r} no es un número de {units} de 0 a {most}",
            )
        return value

    return read


def switch(text: str) -> bool:
    """A switch: on (1, true, yes) or off (0, false, no)."""
    if text.lower() not in _TRUE | _FALSE:
        raise invalid(f"{text!r} is neither 1 nor 0", f"{text!r} no es ni 1 ni 0")
    return text.lower() in _TRUE


def number_of_calls(text: str) -> int:
    """A number of calls."""
    if not re.fullmatch("[0-9]{1,6}", text):
        raise invalid(
            f"{text!r} is not a number of calls from 0 to 999999",
            f"{text!r} no es un número de llamadas de 0 a 999999",
        )
    return int(text)


def rate(text: str) -> str:
    """A number of requests per unit of time, such as 300/minute."""
    if not re.fullmatch(r"[1-9][0-9]{0,6}/(second|minute|hour|day)", text):
        raise invalid(f"{text!r} is not a rate such as 300/minute", f"{text!r} no es una frecuencia como 300/minute")
    return text


def token(text: str) -> str:
    """A secret or a name that is sent in a header: printable ASCII without spaces."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise invalid(
            "not a token: it has spaces or characters beyond ASCII",
            "no es un token: tiene espacios o caracteres que no son ASCII",
        )
    return text


def shared_secret(text: str) -> str:
    """A secret that clients must send: a `token` that is long enough."""
    if len(token(text)) < _SHORTEST_SECRET:
        raise invalid(
            f"too short to keep anybody out; {_SHORTEST_SECRET} characters do",
            f"demasiado corto para proteger nada; con {_SHORTEST_SECRET} caracteres basta",
        )
    return text


def secret_keys(text: str) -> tuple[bytes, ...]:
    """Keys of at least 32 bytes in hexadecimal, separated by commas."""
    keys = [key.strip() for key in text.split(",")]
    if not all(re.fullmatch("(?:[0-9a-fA-F]{2}){32,}", key) for key in keys):
        raise invalid(
            f"not keys of at least 32 bytes in hexadecimal, with commas between them; `{MAKE_KEY}` makes one",
            f"no son claves de al menos 32 bytes en hexadecimal, separadas por comas; `{MAKE_KEY}` crea una",
        )
    if any(len(set(bytes.fromhex(key))) < _FEWEST_BYTES for key in keys):
        raise invalid(
            f"a key in it is not random; `{MAKE_KEY}` makes one",
            f"una de las claves no es aleatoria; `{MAKE_KEY}` crea una",
        )
    return tuple(map(bytes.fromhex, keys))


def header(text: str) -> str:
    """The value of a header: printable ASCII."""
    if not text.isascii() or not text.isprintable():
        raise invalid(
            "only printable ASCII can be sent in a header",
            "en una cabecera solo se pueden enviar caracteres ASCII visibles",
        )
    return text


def folder(text: str) -> Path:
    """The absolute path of a folder, which need not exist. `~` is the user's home folder."""
    try:
        path = Path(text).expanduser()
        is_file = _is_file(path)
    except (RuntimeError, OSError):  # no such user; a name that is too long, or a folder that can't be entered
        raise invalid(f"{text!r} can't be used as a folder", f"{text!r} no se puede usar como carpeta") from None
    if not path.is_absolute():
        raise invalid(
            f"{text!r} is a relative path, which each program reads differently; give the whole path",
            f"{text!r} es una ruta relativa, que cada programa entiende de otro modo; indica la ruta completa",
        )
    if is_file:
        raise invalid(f"{text!r} is a file, not a folder", f"{text!r} es un archivo, no una carpeta")
    return path


def _is_file(path: Path) -> bool:
    try:
        return not stat.S_ISDIR(path.stat().st_mode)  # since Python 3.14, Path.exists() hides why it can't tell
    except (FileNotFoundError, NotADirectoryError):
        return False


def listed(pattern: str, english: str, spanish: str) -> Callable[[str], tuple[str, ...]]:
    """A function that reads items separated by commas.

    Args:
        pattern: What each item must match.
        english: The message in English for an item that does not match, which stands after the item.
        spanish: The same in Spanish.
    """

    def read(text: str) -> tuple[str, ...]:
        items = tuple(item for item in (part.strip() for part in text.split(",")) if item)
        if wrong := [item for item in items if not re.fullmatch(pattern, item)]:
            raise ValueError(f"{wrong[0]!r} {localized(english, spanish)}")
        if not items:
            raise invalid(f"{text!r} lists nothing", f"{text!r} no nombra nada")
        return items

    return read


numbers = listed(
    r"\+[0-9]{1,15}",
    "is no number or prefix in E.164, such as +1415",
    "no es ningún número ni prefijo en E.164, como +1415",
)
"""Numbers and prefixes in E.164. Other entries are refused, because they would match no number."""

hosts = listed(
    _NAME + _PORT,
    "is no host such as phone.example.com or phone.example.com:*",
    "no es ningún host como phone.example.com o phone.example.com:*",
)
"""Values of the `Host` header."""

origins = listed(
    rf"[A-Za-z][A-Za-z0-9+.-]*://{_NAME}{_PORT}",
    "is no origin of a web page such as https://app.example.com",
    "no es ningún origen de una página web como https://app.example.com",
)
"""Values of the `Origin` header."""


def networks(text: str) -> tuple[str, ...]:
    """IP addresses and networks."""
    import ipaddress  # late: few servers are behind a proxy

    entries = listed(".+", "is no address", "no es ninguna dirección")(text)
    for entry in entries:
        try:
            ipaddress.ip_network(entry)
        except ValueError:
            raise invalid(
                f"{entry!r} is no address or network such as 10.0.0.0/8",
                f"{entry!r} no es ninguna dirección ni red como 10.0.0.0/8",
            ) from None
    return entries


def public_url(text: str) -> str:
    """An http or https URL without a user name, a query, and a fragment. Slashes at the end are removed."""
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not text.isprintable() or any(char in text for char in " \\@?#"):
        raise invalid(
            "not a web address; it should look like https://phone.example.com",
            "no es una dirección web; debe ser como https://phone.example.com",
        )
    return text.rstrip("/")


def database_url(text: str) -> str:
    """The URL of a PostgreSQL database. `cli.ledger` checks the rest of it, which needs the database's library."""
    if not re.match("(?i:postgres(?:ql)?)://", text):
        raise invalid(
            "not the URL of a PostgreSQL database; it should look like postgresql://user:password@host/database",
            "no es la URL de una base de datos PostgreSQL; debe ser como postgresql://user:password@host/database",
        )
    return text
