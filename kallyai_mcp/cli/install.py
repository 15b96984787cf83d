"""`kallyai-mcp install` and `uninstall`: this server's entry in a client."""

import compileall
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click

from kallyai_mcp.auth.token_store import write_private
from kallyai_mcp.cli.clients import (
    CLIENTS,
    Client,
    Entry,
    command_of,
    is_on_sandbox,
    kind_of,
    server_command,
)
from kallyai_mcp.cli.output import CommandError, explain, need_sandbox, say

_WHY_NOT = "this program does not change files with comments, TOML, or YAML."


def _check_name(ctx: click.Context, param: click.Parameter, name: str) -> str:
    # Every client accepts such names; Claude Code accepts no others.
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", name):
        raise click.BadParameter(
            "use only letters, digits, - and _, which every client takes", ctx, param
        )
    return name


class _ClientName(click.Choice[str]):
    """A client by its name or its title, such as "Claude Code"."""

    def __init__(self) -> None:
        super().__init__(list(CLIENTS), case_sensitive=False)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name of the client; a name that is not known is told the nearest one."""
        given = "-".join(value.lower().replace("_", " ").split())
        by_title = {one.title.lower().replace(" ", "-"): name for name, one in CLIENTS.items()}
        name = by_title.get(given, given)
        if name in CLIENTS:
            return name
        near = difflib.get_close_matches(given, CLIENTS, n=1, cutoff=0.5)
        advice = f"Did you mean {near[0]}?" if near else _EPILOG
        raise click.BadParameter(f"{value!r} is not known. {advice}", ctx, param)


_client_name = _ClientName()
_name = click.option(
    "--name", default="kallyai", show_default=True, callback=_check_name, help="Name of the entry."
)
_EPILOG = f"Clients: {', '.join(CLIENTS)}"


@click.command(epilog=_EPILOG)
@click.argument("client", metavar="[CLIENT]", type=_client_name, required=False)
@_name
@click.option(
    "--sandbox", is_flag=True, help="Serve on an embedded sandbox: no account, nobody is called."
)
@click.option("--print", "only_print", is_flag=True, help="Show the entry and change nothing.")
def install(*, client: str | None, name: str, sandbox: bool, only_print: bool) -> None:
    """Add this server to CLIENT; without CLIENT, list the clients that are found here.

    A client's own command adds it, if it has one. Else its file is edited: the rest stays as it is,
    and a backup is kept next to it. If neither can be done, the entry is printed to be pasted, and
    the exit code is 1.
    """
    if sandbox:
        need_sandbox()
    if client is None:
        _list_clients(name)
        return
    _install(CLIENTS[client], name, sandbox=sandbox, only_print=only_print)
    # So that the first start is as fast as the others.
    compileall.compile_dir(Path(__file__).parents[1], quiet=2)


def _list_clients(name: str) -> None:
    here = {key: known for key, known in CLIENTS.items() if known.is_here()}
    if not here:
        explain(f"No client was found here. {_EPILOG}")
        return
    for key, known in here.items():
        say(f"  {key:<16} {_entry_state(known, name)}")
    say("To add it: kallyai-mcp install CLIENT")


def _entry_state(client: Client, name: str) -> str:
    entries = client.entries()
    return f"entry: {kind_of(entries[name])}" if name in entries else "no entry"


@click.command(epilog=_EPILOG)
@click.argument("client", metavar="CLIENT", type=_client_name)
@_name
def uninstall(*, client: str, name: str) -> None:
    """Remove this server from CLIENT."""
    known = CLIENTS[client]
    path, text = _read(known)
    servers = known.servers()
    if servers is not None and name not in servers:
        explain(f'{known.title} has no entry "{name}" in {path}; nothing was changed.')
        return
    if known.removes is None or not _ran(known, known.removes(name)):
        new = _edited(known, text, name, None)
        if new is None:
            raise CommandError(
                f'Remove the entry "{name}" under "{known.table}" in {path} yourself: {_WHY_NOT}'
            )
        _replace(path, new, known)
    explain(f'{known.title} no longer has the entry "{name}". Next: restart {known.title}.')


def _install(client: Client, name: str, *, sandbox: bool, only_print: bool) -> None:
    """Add the entry by the client's own program, else in its file; else print it, and raise
    `CommandError`.
    """
    path, before = _read(client)
    old = client.entries().get(name)
    entry = _entry_to_add(client, name, old, sandbox=sandbox)
    if only_print:
        say(client.to_paste(name, entry))
        explain(f"It goes into {path}; nothing was changed.", err=True)
        return
    if _is_there(old, entry):
        explain(f'{client.title} has the entry "{name}" already, in {path}; nothing was changed.')
        return
    # What the user added to an entry stays only in the file.
    loses_nothing = old is None or client.format != "json"
    if loses_nothing and _added_by_program(client, name, entry):
        explain(f'{client.title} has the entry "{name}" now.')
    else:
        _add_to_file(client, name, entry, path, before)
        explain(f'{client.title} has the entry "{name}" now, in {path}.')
    _say_next(client, name, replaces_real=_makes_real_calls(old), sandbox=sandbox)


def _entry_to_add(client: Client, name: str, old: object, *, sandbox: bool) -> Entry:
    """The entry that starts this program, with what a user has set in the old one, as `env`."""
    entry = client.entry(name, *server_command(sandbox=sandbox))
    if isinstance(old, dict) and not old.keys().isdisjoint({"command", "cmd"}):
        return old | entry
    return entry


def _is_there(old: object, entry: Entry) -> bool:
    """Whether the client has this entry. Codex leaves an empty list of arguments out."""
    if not isinstance(old, dict):
        return False
    return entry in (old, {"args": []} | old)


def _makes_real_calls(entry: object) -> bool:
    """Whether an entry starts this program, and not on the embedded sandbox."""
    return command_of(entry) is not None and not is_on_sandbox(entry)


def _added_by_program(client: Client, name: str, entry: Entry) -> bool:
    """Whether the client's own program has added an entry."""
    return client.adds is not None and _ran(client, client.adds(name, entry))


def _add_to_file(client: Client, name: str, entry: Entry, path: Path, before: str) -> None:
    new = _edited(client, before, name, entry)
    if new is None:
        say(client.to_paste(name, entry))
        raise CommandError(f"Paste the entry above into {path} yourself: {_WHY_NOT}")
    _replace(path, new, client)


def _say_next(client: Client, name: str, *, replaces_real: bool, sandbox: bool) -> None:
    """Say what the user does next, and which settings of this shell the client may not have."""
    explain(
        f"Next: quit {client.title}, start it again, and see in its list of MCP servers that "
        f'"{name}" is on.'
    )
    if sandbox:
        replaced = "It replaced the entry that makes real calls. " if replaces_real else ""
        explain(
            f'{replaced}The sandbox calls nobody. Ask, for example: "Call +12025550100 and ask '
            'when they close."'
        )
    else:
        explain('Then ask it, for example: "Call +1… and ask when they close today."')
        explain("Its first call asks you to sign in to KallyAI; `kallyai-mcp login` does that now.")
    settings = sorted(filter(_is_setting, os.environ))
    if settings:
        explain(
            f"Note: {client.title} may start the server without {', '.join(settings)}. Put those "
            "into the entry's env."
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
