"""Reads and changes a client's file. A changed file replaces the old one by a rename; a backup is kept beside it."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from kallyai_mcp.auth.file_store import make_folder, write_private
from kallyai_mcp.cli.clients import json_text, toml, yaml_text
from kallyai_mcp.cli.clients.errors import BadFormatError, ClientFileError, HasCommentsError
from kallyai_mcp.cli.clients.known import Client, Format, Machine
from kallyai_mcp.cli.errors import reason_of

_BYTE_ORDER_MARK = "\ufeff"

FORMATS: dict[Format, ModuleType] = {"json": json_text, "jsonc": json_text, "toml": toml, "yaml": yaml_text}
"""The module that reads and changes files of each format."""

_URL_KEYS = {"url", "uri", "serverUrl", "httpUrl"}
"""Keys of an entry that has the URL of a server, and no command."""


@dataclass(frozen=True)
class Change:
    """What was done to a file.

    Attributes:
        changed: Whether the file was written.
        backup: A copy of the file as it was before; None if there was no file, or it was not changed.
    """

    changed: bool
    backup: Path | None = None


class ClientFile:
    """The file that has the list of a client's servers.

    Args:
        client: The client.
        machine: The machine, on which the path of the client's file depends.
        path: Another file of the client's format; None for the file that the client reads.
    """

    def __init__(self, client: Client, machine: Machine, path: Path | None = None) -> None:
        self.client = client
        self.path = path.absolute() if path is not None else client.path(machine)
        self._machine = machine
        self._may_create_folder = client.creates_its_folder(machine)

    def servers(self) -> dict[str, Any]:
        """The entries of the client's servers, by name; empty if there is no file, or it is empty.

        Raises:
            ClientFileError: The file can't be read.
        """
        servers = self._table()
        if (inner := self._inner_of(servers)) is None:
            return servers
        return inner | {name: entry for name, entry in servers.items() if name != self.client.inner_table}

    def place_of(self, name: str) -> tuple[str, ...]:
        """The keys that lead to the entry `name`, or to its place if there is no such entry.

        Raises:
            ClientFileError: The file can't be read.
        """
        servers = self._table()
        if self.client.inner_table is None or self._inner_of(servers) is None or name in servers:
            return (self.client.table, name)
        return (self.client.table, self.client.inner_table, name)

    def merged(self, name: str, entry: dict[str, Any]) -> dict[str, Any]:
        """`entry`, with the other keys of the file's present entry `name`, such as variables of the environment.

        If the file has no such entry, or one with a server's URL, the result is `entry` itself.

        Raises:
            ClientFileError: The file can't be read.
        """
        before = self.servers().get(name)
        if not isinstance(before, dict) or not {"command", "cmd"} & set(before) or _URL_KEYS & set(before):
            return entry
        if before.get("type", "stdio") == "stdio":  # every client takes an entry without "type" for a command
            entry = {key: value for key, value in entry.items() if key != "type"}
        return before | entry

    def install(self, name: str, entry: dict[str, Any]) -> Change:
        """Write `entry` under `name`, merged with the present entry (`merged`); the rest of the file is unchanged.

        Raises:
            HasCommentsError: The file has comments or trailing commas; nothing was changed.
            ClientFileError: The file can't be read or written; nothing was changed.
        """
        before, wanted = self.servers().get(name), self.merged(name, entry)
        if before == wanted:
            return Change(changed=False)
        text = self._editable_text()
        path = self.place_of(name)
        with self._errors_name_the_file():
            if wanted is entry or not isinstance(before, dict):
                return self._write(self._format.put(text, path, entry))
            for key in [key for key, value in wanted.items() if before.get(key) != value]:
                text = self._format.put(text, (*path, key), wanted[key])
        return self._write(text)

    def uninstall(self, name: str) -> Change:
        """Remove the entry `name`, if there is one; the rest of the file is unchanged.

        Raises:
            HasCommentsError: The file has comments or trailing commas; nothing was changed.
            ClientFileError: The file can't be read or written; nothing was changed.
        """
        if name not in self.servers():
            return Change(changed=False)
        text = self._editable_text()
        path = self.place_of(name)
        with self._errors_name_the_file():
            new = self._format.drop(text, path)
        return self._write(new)

    def _table(self) -> dict[str, Any]:
        text, _ = self._text()
        with self._errors_name_the_file():
            document = json_text.read(text, comments=True) if self._allows_comments else self._format.read(text)
        servers = document.get(self.client.table, {})
        return servers if isinstance(servers, dict) else {}

    def _inner_of(self, servers: dict[str, Any]) -> dict[str, Any] | None:
        """The servers below `inner_table`; None if there is no such table, or a server has that name."""
        inner = servers.get(self.client.inner_table or "")
        return inner if isinstance(inner, dict) and not isinstance(inner.get("type"), str) else None

    @property
    def _format(self) -> ModuleType:
        return FORMATS[self.client.format]

    @property
    def _allows_comments(self) -> bool:
        return self.client.format == "jsonc"

    def _editable_text(self) -> str:
        """The text of the file.

        Raises:
            HasCommentsError: An edit would lose comments or trailing commas.
        """
        text, _ = self._text()
        if self._allows_comments and json_text.without_comments(text) != text:
            raise HasCommentsError(
                f"{self.path} has comments or trailing commas, which an edit would lose. It was left as it is."
            )
        return text

    @contextlib.contextmanager
    def _errors_name_the_file(self) -> Iterator[None]:
        """In this context, errors are raised as a `ClientFileError` that names the file."""
        try:
            yield
        except BadFormatError as error:
            raise ClientFileError(f"{self.path}, line {error.line}: {error.reason}. It was left as it is.") from None
        except OSError as error:
            why = reason_of(error)
            raise ClientFileError(f"{self.path} can't be used: {why}. It was left as it is.") from None

    def _target(self) -> Path:
        """The path of the file itself, if `path` is a symbolic link to it."""
        try:
            return self.path.resolve()
        except RuntimeError:  # what Python before 3.13 raises for a link that leads to itself
            raise ClientFileError(f"{self.path} is a link that leads to itself.") from None

    def _text(self) -> tuple[str, bool]:
        """The text of the file, without its byte order mark, and whether it has one; "" if there is no file."""
        with self._errors_name_the_file():
            try:
                raw = self._target().read_bytes()
            except FileNotFoundError:
                return "", False
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                line = raw.count(b"\n", 0, error.start) + 1
                raise BadFormatError("it is not UTF-8", line=line) from None
        return text.removeprefix(_BYTE_ORDER_MARK), text.startswith(_BYTE_ORDER_MARK)

    def _write(self, new: str) -> Change:
        old, has_mark = self._text()
        if new == old:
            return Change(changed=False)
        target = self._target()
        backup = None
        with self._errors_name_the_file():
            before = target.stat() if target.exists() else None
            if before is not None and not before.st_mode & stat.S_IWUSR:
                raise ClientFileError(f"{self.path} is read-only. It was left as it is.")
            if before is None and not target.parent.is_dir():
                self._create_folder(target.parent)
            mark = _BYTE_ORDER_MARK if has_mark else ""
            if before is not None:
                backup = _free_name(target)
                write_private(backup, mark + old)
                _copy_mode_and_owner(backup, before)
            try:
                write_private(target, mark + new)
            except OSError:
                if backup is not None:
                    backup.unlink(missing_ok=True)
                raise
            if before is not None:
                _copy_mode_and_owner(target, before)
            if self._machine.shows_private_copy(target):
                for copy in filter(None, (target, backup)):
                    copy.unlink()  # without the private copies, this program sees the client's own file again
                raise ClientFileError(
                    f"This program sees a private copy of {self.path}, which {self.client.title} does not read: "
                    "Python or the shell came from the Microsoft Store. Nothing was changed. Run this from a "
                    "terminal that you open from the Start menu, with Python from python.org or uv."
                )
        return Change(changed=True, backup=backup)

    def _create_folder(self, folder: Path) -> None:
        if not self._may_create_folder:
            raise ClientFileError(
                f"{folder}, which {self.client.home_variable} names, does not exist, and {self.client.title} would "
                "not create it. Create it first, or remove the variable."
            )
        make_folder(folder)


def _free_name(path: Path) -> Path:
    """A free name for a backup of `path`, with the time in UTC."""
    moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = (f"{path.name}.{moment}{f'-{number}' if number > 1 else ''}.bak" for number in count(1))
    return next(backup for name in names if not (backup := path.with_name(name)).exists())


def _copy_mode_and_owner(path: Path, like: os.stat_result) -> None:
    """Give `path` the mode of the file that it replaces, and its owner, if this user may set it."""
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(path, like.st_uid, like.st_gid)
    path.chmod(stat.S_IMODE(like.st_mode))
