"""A client's file: read whole, written by rename, with a backup beside it."""

import contextlib
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from kallyai_mcp.auth.file_store import make_folder, write_private
from kallyai_mcp.cli.clients import jsonc, toml
from kallyai_mcp.cli.clients.errors import Broken, ClientFileError
from kallyai_mcp.cli.clients.known import Client, Machine

_MARK = "\ufeff"
"""The byte order mark that some editors put in front of UTF-8."""


@dataclass(frozen=True)
class Change:
    """What was done to a file.

    Attributes:
        path: The file, as the client names it.
        changed: Whether it was written.
        backup: What it was before; None when it was not there or was not changed.
    """

    path: Path
    changed: bool
    backup: Path | None = None


class ClientFile:
    """The file in which a client keeps its servers.

    Args:
        client: Whose it is.
        machine: Where.
    """

    def __init__(self, client: Client, machine: Machine) -> None:
        self.client = client
        self.path = client.path(machine)
        self._may_make_folder = client.makes_its_folder(machine)

    def servers(self) -> dict[str, Any]:
        """The client's servers by name; none when there is no such file, or nothing in it.

        Raises:
            ClientFileError: It can't be read.
        """
        text, _ = self._text()
        with self._named():
            document = toml.read(text) if self._is_toml else jsonc.read(text, comments=self._comments)
        servers = document.get(self.client.table, {})
        return servers if isinstance(servers, dict) else {}

    def with_server(self, name: str, entry: dict[str, Any]) -> str:
        """The text of the file with `entry` under `name`.

        An entry that starts a command keeps what else it says, such as variables of the environment.

        Raises:
            ClientFileError: It can't be read.
        """
        before = self.servers().get(name)
        text, _ = self._text()
        path = (self.client.table, name)
        with self._named():
            if isinstance(before, dict) and "command" in before and not {"url", "serverUrl", "httpUrl"} & set(before):
                for key, value in entry.items():
                    # Without "type" it is a command to every client.
                    if key != "type" or before.get("type", "stdio") != "stdio":
                        text = self._put(text, (*path, key), value)
                return text
            return self._put(text, path, entry)

    def install(self, name: str, entry: dict[str, Any]) -> Change:
        """Put `entry` under `name`, and leave the rest as it is.

        Raises:
            ClientFileError: The file can't be read or written; nothing was changed.
        """
        return self._write(self.with_server(name, entry))

    def uninstall(self, name: str) -> Change:
        """Take out the entry `name`, if it is there, and leave the rest as it is.

        Raises:
            ClientFileError: The file can't be read or written; nothing was changed.
        """
        text, _ = self._text()
        path = (self.client.table, name)
        with self._named():
            new = toml.drop(text, path) if self._is_toml else jsonc.drop(text, path, comments=self._comments)
        return self._write(new)

    @property
    def _is_toml(self) -> bool:
        return self.client.format == "toml"

    @property
    def _comments(self) -> bool:
        return self.client.format == "jsonc"

    def _put(self, text: str, path: tuple[str, ...], value: Any) -> str:
        if self._is_toml:
            return toml.put(text, path, value)
        return jsonc.put(text, path, value, comments=self._comments)

    @contextlib.contextmanager
    def _named(self) -> Any:
        """Name the file, and say that it was left alone, in whatever goes wrong within."""
        try:
            yield
        except Broken as error:
            raise ClientFileError(f"{self.path}, line {error.line}: {error.reason}. It was left as it is.") from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise ClientFileError(f"{self.path} can't be used: {why}. It was left as it is.") from None

    def _target(self) -> Path:
        """The file itself, where `path` is a link to it."""
        try:
            return self.path.resolve()
        except RuntimeError:  # how Python before 3.13 calls a link that leads to itself
            raise ClientFileError(f"{self.path} is a link that leads to itself.") from None

    def _text(self) -> tuple[str, bool]:
        """The text of the file, without its byte order mark, and whether it has one; empty when there is no file."""
        with self._named():
            try:
                raw = self._target().read_bytes()
            except FileNotFoundError:
                return "", False
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise Broken("it is not UTF-8", line=raw.count(b"\n", 0, error.start) + 1) from None
        return text.removeprefix(_MARK), text.startswith(_MARK)

    def _write(self, new: str) -> Change:
        old, marked = self._text()
        if new == old:
            return Change(self.path, changed=False)
        target = self._target()
        backup = None
        with self._named():
            before = target.stat() if target.exists() else None
            if before is not None and not before.st_mode & stat.S_IWUSR:
                raise ClientFileError(f"{self.path} is read-only. It was left as it is.")
            if before is None and not target.parent.is_dir():
                self._make_folder(target.parent)
            mark = _MARK if marked else ""
            if before is not None:
                backup = _free_name(target)
                write_private(backup, mark + old)
                _make_alike(backup, before)
            try:
                write_private(target, mark + new)
            except OSError:
                if backup is not None:
                    backup.unlink(missing_ok=True)
                raise
            if before is not None:
                _make_alike(target, before)
        return Change(self.path, changed=True, backup=backup)

    def _make_folder(self, folder: Path) -> None:
        if not self._may_make_folder:
            raise ClientFileError(
                f"{folder}, which {self.client.home_variable} names, is not there, and {self.client.title} would not "
                "make it. Make it first, or remove the variable."
            )
        make_folder(folder)


def _free_name(path: Path) -> Path:
    """A name for a backup of `path` that is not taken, with the moment in it (UTC)."""
    moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = (f"{path.name}.{moment}{f'-{number}' if number > 1 else ''}.bak" for number in count(1))
    return next(backup for name in names if not (backup := path.with_name(name)).exists())


def _make_alike(path: Path, like: os.stat_result) -> None:
    """Give `path` the mode, and where it may be given away the owner, of the file that it takes the place of."""
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(path, like.st_uid, like.st_gid)
    path.chmod(stat.S_IMODE(like.st_mode))
