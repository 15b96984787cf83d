"""The entry of this program in a client: it is added by the client's program, or in its file."""

import compileall
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kallyai_mcp.auth.token_store import write_private
from kallyai_mcp.cli.clients import (
    OUT_OF_CLONE,
    Client,
    Entry,
    clone_of,
    command_of,
    is_on_sandbox,
    server_command,
)
from kallyai_mcp.cli.output import CommandError, explain, say

_WHY_NOT = "this program does not change files with comments, TOML, or YAML."


@dataclass(frozen=True)
class Change:
    """The entry that a client is to have.

    Attributes:
        old: The entry of that name that it has; None if it has none.
        path: The file with its entries.
        before: The text of that file; "" if there is none.
    """

    client: Client
    name: str
    entry: Entry
    old: object
    path: Path
    before: str

    @property
    def is_made(self) -> bool:
        """Whether the client has this entry. Codex leaves an empty list of arguments out."""
        if not isinstance(self.old, dict):
            return False
        return self.entry in (self.old, {"args": []} | self.old)

    @property
    def replaces_another_program(self) -> bool:
        """Whether the client has an entry of that name that starts something else."""
        return self.old is not None and command_of(self.old) is None

    @property
    def replaces_real_calls(self) -> bool:
        """Whether the old entry starts this program, and not on a sandbox."""
        return command_of(self.old) is not None and not is_on_sandbox(self.old)


class NotEditedError(CommandError):
    """This program does not edit the client's file; the entry was printed to be pasted."""


def change_of(client: Client, name: str, *, sandbox: bool) -> Change:
    """The change that makes a client start this program; what a user has set in the old entry,
    such as `env`, stays.
    """
    path, before = _read(client)
    old = client.entries().get(name)
    entry = client.entry(name, *server_command(sandbox=sandbox))
    if isinstance(old, dict) and not old.keys().isdisjoint({"command", "cmd"}):
        entry = old | entry
    return Change(client, name, entry, old, path, before)


def make(change: Change) -> None:
    """Add the entry by the client's own program, else in its file; else print it, and raise
    `NotEditedError`.
    """
    client = change.client
    has_it = f'{client.title} has the entry "{change.name}"'
    if change.is_made:
        explain(f"{has_it} already, in {change.path}; nothing was changed.")
        return
    # What the user added to an entry stays only in the file.
    loses_nothing = change.old is None or client.format != "json"
    if loses_nothing and _added_by_program(change):
        explain(f"{has_it} now.")
        return
    _add_to_file(change)
    explain(f"{has_it} now, in {change.path}.")


def remove_entry(client: Client, name: str) -> None:
    """Remove an entry by the client's own program, else from its file."""
    path, text = _read(client)
    servers = client.servers()
    if servers is not None and name not in servers:
        explain(f'{client.title} has no entry "{name}" in {path}; nothing was changed.')
        return
    if client.removes is None or not _ran(client, client.removes(name)):
        new = _edited(client, text, name, None)
        if new is None:
            raise CommandError(
                f'Remove the entry "{name}" under "{client.table}" in {path} yourself: {_WHY_NOT}'
            )
        _replace(path, new, client)
    explain(f'{client.title} no longer has the entry "{name}". Next: restart {client.title}.')


def _added_by_program(change: Change) -> bool:
    """Whether the client's own program has added an entry."""
    client = change.client
    return client.adds is not None and _ran(client, client.adds(change.name, change.entry))


def _add_to_file(change: Change) -> None:
    client = change.client
    new = _edited(client, change.before, change.name, change.entry)
    if new is None:
        say(client.to_paste(change.name, change.entry))
        raise NotEditedError(f"Paste the entry above into {change.path} yourself: {_WHY_NOT}")
    _replace(change.path, new, client)


def compile_program() -> None:
    """Compile this program, so that its first start is as fast as the others."""
    compileall.compile_dir(Path(__file__).parents[1], quiet=2)


def say_next(change: Change, *, sandbox: bool) -> None:
    """Say what the user does next, and what the entry depends on."""
    title = change.client.title
    explain(
        f"Next: quit {title}, start it again, and see in its list of MCP servers that "
        f'"{change.name}" is on.'
    )
    if sandbox:
        replaced = ""
        if change.replaces_real_calls:
            replaced = "It replaced the entry that makes real calls. "
        explain(
            f'{replaced}The sandbox calls nobody. Ask, for example: "Call +12025550100 and ask '
            'when they close."'
        )
    else:
        explain('Then ask it, for example: "Call +1… and ask when they close today."')
        explain("Its first call asks you to sign in to KallyAI; `kallyai-mcp login` does that now.")


def say_what_it_depends_on(change: Change) -> None:
    """Warn of a program in a clone's `.venv`, and of settings that only this shell has."""
    command, *_ = command_of(change.entry) or ("",)
    clone = clone_of(command)
    if clone is not None:
        explain(
            f"Note: the entry starts the program in the .venv of the clone {clone}; it stops "
            f"working if that is moved or deleted. To install it for good: {OUT_OF_CLONE}."
        )
    settings = sorted(filter(_is_setting, os.environ))
    if settings:
        explain(
            f"Note: {change.client.title} may start the server without {', '.join(settings)}. Put "
            "those into the entry's env."
        )


def _is_setting(variable: str) -> bool:
    return variable.startswith("KALLYAI_") and bool(os.environ[variable].strip())


def _ran(client: Client, arguments: list[str]) -> bool:
    """Whether the client's own program is here and did what it was told."""
    command = [shutil.which(client.program) or "", *arguments]
    try:
        subprocess.run(  # noqa: S603
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _read(client: Client) -> tuple[Path, str]:
    """A client's file, without symbolic links, and its text; "" if there is none."""
    path = client.path()
    try:
        if path.is_symlink():
            path = path.resolve()
        # Not `read_text`, which changes the ends of the lines.
        return path, path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return path, ""
    except (
        OSError,
        RuntimeError,
        UnicodeDecodeError,
    ) as error:  # a link that leads to itself is a RuntimeError
        raise CommandError(f"{path} can't be read: {error}.") from None


def _replace(path: Path, text: str, client: Client) -> None:
    """Replace a file by a rename, with its mode, and keep the old one as a backup.

    A client has one backup: its file before the last change.
    """
    backup = path.with_name(f"{path.name}.kallyai.bak")
    try:
        for folder in [path.parent, *path.parent.parents][::-1]:
            # `parents=True` would leave the modes to the umask.
            folder.mkdir(mode=0o700, exist_ok=True)
        replaces = path.exists()
        if replaces:
            backup.touch(0o600)
            shutil.copy2(path, backup)
            explain(f"The file as it was: {backup}")
        write_private(path, text)
        if replaces:
            shutil.copymode(backup, path)
    except OSError as error:
        raise CommandError(
            f"{path} can't be written: {error.strerror}. It was left as it is."
        ) from None
    if sys.platform == "win32" and _is_private_copy(path):
        raise CommandError(
            f"This program sees a private copy of {path}, which {client.title} does not read: "
            "Python or the shell came "
            "from the Microsoft Store. Run this from another terminal, with Python from python.org "
            "or uv."
        )


def _is_private_copy(path: Path) -> bool:
    """Whether Windows gives this program its own copy of a file, in a package's folder."""
    is_named = "localcache" in str(path).lower()
    return not is_named and "localcache" in os.path.realpath(path).lower()


def _edited(client: Client, text: str, name: str, entry: Entry | None) -> str | None:
    """A JSON text with this entry first in the table, or without it for None.

    All other characters stay as they are. None if that is not simple: the file is no JSON, it has
    comments or a name twice, or the table is something else.
    """
    if client.format != "json":
        return None
    table = client.table
    if not text.strip():
        text = "{\n}\n"
    with suppress(ValueError, RecursionError, AttributeError, TypeError):
        wanted = json.loads(text)
        if table not in wanted:
            text = _with(text, text.index("{") + 1, 1, table, {})
        wanted.setdefault(table, {}).pop(name, None)
        if entry is not None:
            wanted[table][name] = entry
        for begin in re.finditer(rf'"{table}"\s*:\s*{{', text):  # another one may have this name
            new = _without(text, begin.end(), name)
            if entry is not None:
                new = _with(new, begin.end(), 2, name, entry)
            if json.loads(new) == wanted:
                return new
    return None


def _without(text: str, at: int, name: str) -> str:
    """The text without the first member of this name after `at`, and without a comma beside it."""
    found = re.compile(rf'(,?)\s*"{name}"\s*:\s*').search(text, at)
    if found is None:
        return text
    _, end = json.JSONDecoder().raw_decode(text, found.end())
    rest = text[end:]
    has_comma_before = bool(found[1])
    if not has_comma_before:
        rest = re.sub(r"^\s*,", "", rest)
    return text[: found.start()] + rest


def _with(text: str, at: int, depth: int, name: str, value: object) -> str:
    """The text with a new member at `at`, where an object begins that is `depth` deep, indented
    like the others.
    """
    has_lines = "\n" in text.strip()
    newline = "\r\n" if "\r\n" in text else "\n"
    found = re.search(r'\n([ \t]+)"', text)
    unit = "  " if found is None else found[1]
    member = json.dumps({name: value}, indent=unit if has_lines else None, ensure_ascii=False)[1:-1]
    member = member.replace("\n", newline + unit * (depth - 1))
    rest = text[at:]
    if rest.lstrip().startswith("}"):
        return text[:at] + member + rest.lstrip()
    return text[:at] + member.rstrip() + "," + rest
