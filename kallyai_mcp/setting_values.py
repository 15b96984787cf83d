"""What a setting is made of: its name, what people are told of it, and how its value is read from
the text of an environment variable.

A reader takes a text that is not empty. It raises `ValueError` with a message that stands after the
setting's name, says what it takes, and quotes no secret.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

from kallyai_mcp.urls import check_base_url

MAKE_KEY = (
    f'{"python" if sys.platform == "win32" else "python3"} -c "import secrets; '
    'print(secrets.token_hex(32))"'
)
"""A command that prints a key, in every shell of this system.

Many systems have no `python`, but only `python3`.
"""

PREFIX = "KALLYAI_"
_SIMILAR = 0.8
"""From which similarity on (0 to 1, of `difflib`) an unknown variable counts as a misspelled
setting.
"""

_FEWEST_BYTES = 8
"""The fewest different bytes in a random key. A placeholder, such as only zeros, has fewer."""

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}

_NAME = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_PORT = r"(?::(?:\*|[0-9]{1,5}))?"


@dataclass(frozen=True)
class About:
    """What people are told of a setting, and where it may be set.

    Attributes:
        group: The section of docs/settings.md.
        meaning: What it says or does, as a part of a sentence in Markdown.
        unset: What holds while it is not set, in words, where the default does not say it.
        example: A value.
        title: Its label in the bundle's form; "" for one that the form does not have.
        is_secret: Whether its value must not be shown.
        extra: The extra of this package that it needs, which `server.json` does not install.
    """

    group: str
    meaning: str
    unset: str = ""
    example: str = ""
    title: str = ""
    is_secret: bool = False
    extra: str = ""

    @property
    def words(self) -> str:
        """`meaning` without the signs of Markdown, for a form or a terminal."""
        return re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", self.meaning).replace("`", "")


class SettingsError(ValueError):
    """The value of a setting is not valid.

    The message is one line that names the setting and says what it takes. `setting` is its name in
    `Settings`; "" if there is no such setting.
    """

    def __init__(self, message: str, *, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


@dataclass(frozen=True)
class Declaration:
    """How a setting is declared.

    `read` reads its value from a text. `default` is None where there is none, or where it has to be
    found out.
    """

    name: str
    read: Callable[[str], Any]
    about: About
    default: Any

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return variable(self.name)

    def value(self, text: str) -> Any:
        """The value in a text that is not empty; raises `SettingsError`."""
        try:
            return self.read(text)
        except ValueError as error:
            raise SettingsError(f"{self.variable}: {error}", setting=self.name) from None


def variable(name: str) -> str:
    """The environment variable of the setting with this name."""
    return f"{PREFIX}{name.upper()}"


def given(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of this program that are set, in the order of their names."""
    texts = {name: environ[name].strip() for name in sorted(environ) if name.startswith(PREFIX)}
    return {name: text for name, text in texts.items() if not _is_left_out(text)}


def _is_left_out(text: str) -> bool:
    """Whether a variable counts as not set. Some clients pass an option's name as its value."""
    return not text or text.startswith("${user_config.")


def check_spelling(name: str, known: Iterable[str]) -> None:
    """Raise `SettingsError` if a variable that is no setting has a name similar to one."""
    from difflib import get_close_matches  # imported late: hardly ever needed

    names = [other.removeprefix(PREFIX) for other in known]
    if similar := get_close_matches(name.removeprefix(PREFIX), names, 1, _SIMILAR):
        raise SettingsError(f"{name}: there is no such setting; did you mean {PREFIX}{similar[0]}?")


class OneOf:
    """Reads one of the texts of a `Literal`; upper and lower case are equal."""

    def __init__(self, choices: object) -> None:
        self.choices: tuple[str, ...] = get_args(choices)

    def __call__(self, text: str) -> Any:
        """The choice that `text` names."""
        for choice in self.choices:
            if choice.lower() == text.lower():
                return choice
        raise ValueError(f"{text!r} is not one of {', '.join(self.choices)}")


@dataclass(frozen=True)
class Number:
    """Reads a number from 0 to `most`."""

    most: int

    def __call__(self, text: str) -> float:
        """The number in `text`."""
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not 0 <= value <= self.most:
            raise ValueError(f"{text!r} is not a number from 0 to {self.most}")
        return value


@dataclass(frozen=True)
class WholeNumber:
    """Reads a whole number from `least` to `most`."""

    least: int
    most: int

    def __call__(self, text: str) -> int:
        """The number in `text`."""
        value = int(text) if text.isdecimal() else self.most + 1
        if not self.least <= value <= self.most:
            raise ValueError(f"{text!r} is not a whole number from {self.least} to {self.most}")
        return value


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
        items = tuple(map(read_item, filter(None, _parts(text))))
        if not items:
            raise ValueError(f"{text!r} lists nothing")
        return items

    return read


def _parts(text: str) -> Iterator[str]:
    """What stands between commas; a part may be empty."""
    return map(str.strip, text.split(","))


def switch(text: str) -> bool:
    """1, true, yes, or on; 0, false, no, or off."""
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError(f"{text!r} is neither 1 nor 0")
    return text.lower() in _TRUE


def calls(text: str) -> int:
    """A number of calls."""
    return int(_text("[0-9]{1,6}", "is not a number of calls from 0 to 999999", quoted=True)(text))


def secret_keys(text: str) -> tuple[bytes, ...]:
    """Keys of at least 32 bytes in hexadecimal, separated by commas."""
    keys = list(_parts(text))
    for key in keys:
        if (
            not re.fullmatch("(?:[0-9a-fA-F]{2}){32,}", key)
            or len(set(bytes.fromhex(key))) < _FEWEST_BYTES
        ):
            words = "not random keys of at least 32 bytes in hexadecimal, with commas between them"
            raise ValueError(f"{words}; `{MAKE_KEY}` makes one")
    return tuple(map(bytes.fromhex, keys))


def folder(text: str) -> Path:
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


def networks(text: str) -> tuple[str, ...]:
    """Addresses and networks, separated by commas."""
    import ipaddress  # late: few servers are behind a proxy

    entries = _listed(".+", "is no address")(text)
    for entry in entries:
        try:
            ipaddress.ip_network(entry)
        except ValueError:
            raise ValueError(f"{entry!r} is no address or network such as 10.0.0.0/8") from None
    return entries


public_url = partial(check_base_url, example="https://phone.example.com", plain_http=True)
token = _text("[!-~]+", "not a token: it has spaces or characters beyond ASCII")
shared_secret = _text(
    "[!-~]{16,}", "not a token of at least 16 characters, without spaces, in ASCII"
)
header = _text("[ -~]+", "only printable ASCII can be sent in a header")
rate = _text(
    "[1-9][0-9]{0,6}/(second|minute|hour|day)", "is not a rate such as 300/minute", quoted=True
)
database_url = _text(  # `cli.connection` checks the rest of it, which needs the database's library
    "(?i:postgres(?:ql)?)://.*",
    "not the URL of a PostgreSQL database; it should look like "
    "postgresql://user:password@host/database",
)
numbers = _listed(r"\+[0-9]{1,15}", "is no number or prefix in E.164, such as +1415")
hosts = _listed(_NAME + _PORT, "is no host such as phone.example.com or phone.example.com:*")
origins = _listed(
    rf"[A-Za-z][A-Za-z0-9+.-]*://{_NAME}{_PORT}",
    "is no origin of a web page such as https://app.example.com",
)


def default_home() -> Path:
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
