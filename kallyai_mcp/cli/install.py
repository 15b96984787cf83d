"""`kallyai-mcp install` and `uninstall`: this server's entry in a client."""

import difflib
import os
import re
import stat
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from kallyai_mcp.cli.clients import CLIENTS, Client, Entry, Machine, command_of, server_command
from kallyai_mcp.cli.json_edit import edited
from kallyai_mcp.cli.output import CommandError, say
from kallyai_mcp.cli.sandbox import need_sandbox

_ADD_SECONDS = 60


class _ClientName(click.ParamType[str]):
    """A client's name. The error about a misspelled one names similar ones."""

    name = "client"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in CLIENTS:
            near = difflib.get_close_matches(value.lower().replace(" ", "-"), CLIENTS, 3, 0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(CLIENTS)}."
            raise click.BadParameter(f"no client is called {value!r}; {hint}", ctx, param)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del ctx, param
        return [CompletionItem(name) for name in CLIENTS if name.startswith(incomplete)]


def _check_name(ctx: click.Context, param: click.Parameter, name: str) -> str:
    # Every client accepts such names; Claude Code accepts no others.
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", name):
        raise click.BadParameter("use only letters, digits, - and _, which every client takes", ctx, param)
    return name


_file = click.option(
    "--file", type=click.Path(dir_okay=False, path_type=Path), help="Change this file of the client's format."
)
_name = click.option("--name", default="kallyai", show_default=True, callback=_check_name, help="Name of the entry.")
_CLIENTS_HELP = f"Clients: {', '.join(CLIENTS)}"


@click.command(short_help="Add this server to a client.", epilog=_CLIENTS_HELP)
@click.argument("client", metavar="[CLIENT]", type=_ClientName(), required=False)
@click.option("--all", "every", is_flag=True, help="Add it to every client that is found here.")
@_file
@_name
@click.option("--sandbox", is_flag=True, help="Serve on an embedded sandbox: no account, nobody is called.")
@click.option("--print", "only_print", is_flag=True, help="Show the entry and change nothing.")
def install(*, client: str | None, every: bool, file: Path | None, name: str, sandbox: bool, only_print: bool) -> None:
    """Add this server to CLIENT; without CLIENT, list the clients that are found here.

    A client's own command adds it, if it has one. Else its file is edited: the rest stays as it is, and a backup is
    kept next to it. If neither can be done, the entry is printed to be pasted, and the exit code is 1.
    """
    if (client is not None and every) or (client is None and file is not None):
        raise click.UsageError("--file needs a client, and --all takes none.")
    if sandbox:
        need_sandbox()
    here = [key for key, known in CLIENTS.items() if known.is_on(Machine.this())]
    if client is None and not every:
        _list(here, name)
    failures = []
    for key in [client] if client is not None else here if every else []:
        try:
            _install(CLIENTS[key], name, file, sandbox=sandbox, only_print=only_print)
        except click.ClickException as error:
            failures.append(error.message)
    if every and not here:
        failures.append("No client was found here. `kallyai-mcp install CLIENT` adds the entry to one.")
    if failures:
        raise CommandError("\n".join(failures))


@click.command(short_help="Remove this server from a client.", epilog=_CLIENTS_HELP)
@click.argument("client", metavar="CLIENT", type=_ClientName())
@_file
@_name
def uninstall(*, client: str, file: Path | None, name: str) -> None:
    """Remove this server from CLIENT."""
    known = CLIENTS[client]
    path = _target(file or known.path(Machine.this()))
    servers = known.servers(_read(path))
    if servers is not None and name not in servers:
        say(f'{known.title} has no entry "{name}" in {path}; nothing was changed.')
        return
    if file is None and known.removes and _ran(known.commands(known.removes, name, {})):
        say(f'{known.title} no longer has the entry "{name}".')
    elif known.format == "json" and (new := edited(_read(path), (known.table, name), None)) is not None:
        backup = _replace(path, new, known)
        say(f'{known.title} no longer has the entry "{name}", in {path}. The file as it was: {backup}.')
    else:
        raise CommandError(f'Remove the entry "{name}" under "{known.table}" in {path} yourself: {_WHY_NOT}')
    say(f"Next: restart {known.title}.")


_WHY_NOT = "this program does not change files with comments, TOML, or YAML."


def _list(here: list[str], name: str) -> None:
    if not here:
        say("No client was found here. You can still name one of these:")
    for key in here or CLIENTS:
        known = CLIENTS[key]
        servers = known.servers(_read(known.path(Machine.this())))
        has_entry = None if servers is None else name in servers
        state = {True: "has the entry", False: "no entry", None: "can't be read"}[has_entry] if here else ""
        say(f"  {key:<16} {state}".rstrip())
    say("To add it: kallyai-mcp install CLIENT\nTo all here: kallyai-mcp install --all")


def _install(client: Client, name: str, file: Path | None, *, sandbox: bool, only_print: bool) -> None:
    """Add the entry by the client's own program, else in its file.

    Raises:
        click.ClickException: Neither can be done; the entry was printed, and nothing was changed.
    """
    path = _target(file or client.path(Machine.this()))
    entry, before = client.entry(name, *server_command(sandbox=sandbox)), _read(path)
    old = (client.servers(before) or {}).get(name)
    if isinstance(old, dict) and {"command", "cmd"} & set(old):
        entry = old | entry  # a user may have set `env` there
    if only_print:
        say(client.to_paste(name, entry))
        say(f"It goes into {path}; nothing was changed.", err=True)
        return
    if isinstance(old, dict) and entry in (old, {"args": []} | old):  # Codex leaves an empty list out
        say(f'{client.title} has the entry "{name}" already, in {path}; nothing was changed.')
        return
    if file is None and client.adds and _added_by_program(client, name, entry, replaces=old is not None):
        say(f'{client.title} has the entry "{name}" now.')
    elif client.format == "json" and (new := edited(before, (client.table, name), entry)) is not None:
        backup = _replace(path, new, client)
        kept = f" The file as it was: {backup}." if backup else ""
        say(f'{client.title} has the entry "{name}" now, in {path}.{kept}')
    else:
        say(client.to_paste(name, entry))
        raise CommandError(f"Paste the entry above into {path} yourself: {_WHY_NOT}")
    say(f"Next: {client.reload}.")
    if sandbox:
        replaced = "It replaced the entry that makes real calls. " if _is_real(old) else ""
        say(f'{replaced}The sandbox calls nobody. Ask, for example: "Call +12025550100 and ask when they close."')
    else:
        say('Then ask it, for example: "Call +1… and ask when they close today."')
        say("Its first call asks you to sign in to KallyAI; `kallyai-mcp login` does that now.")
    if names := sorted(each for each in os.environ if each.startswith("KALLYAI_") and os.environ[each].strip()):
        say(f"Note: {client.title} may start the server without {', '.join(names)}. Put those into the entry's env.")


def _is_real(entry: object) -> bool:
    words = command_of(entry)
    return words is not None and "--sandbox" not in words


def _added_by_program(client: Client, name: str, entry: Entry, *, replaces: bool) -> bool:
    if replaces and client.removes:
        _ran(client.commands(client.removes, name, entry))  # Claude Code adds no name that it has
    return _ran(client.commands(client.adds, name, entry))


def _ran(command: list[str]) -> bool:
    """Whether a client's own program is here and did what it was told."""
    if not command[0]:
        return False
    try:
        done = subprocess.run(  # noqa: S603 - the program is the client's own
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ADD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _target(path: Path) -> Path:
    """The file itself, if `path` is a symbolic link to it."""
    try:
        return path.absolute().resolve() if path.is_symlink() else path.absolute()
    except (OSError, RuntimeError):
        raise CommandError(f"{path} is a link that leads to itself.") from None


def _read(path: Path) -> str:
    """The text of a client's file with its line ends; "" if there is none."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8. It was left as it is.") from None
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from None


def _replace(path: Path, text: str, client: Client) -> Path | None:
    """Replace a file by a rename, with its mode and its byte order mark; returns the backup, if there was a file."""
    old = path.read_bytes() if path.exists() else None
    mode = stat.S_IMODE(path.stat().st_mode) if old is not None else 0o600
    content = (b"\xef\xbb\xbf" if (old or b"").startswith(b"\xef\xbb\xbf") else b"") + text.encode()
    backup = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.bak") if old is not None else None
    try:
        if old is not None and not mode & stat.S_IWUSR:
            raise CommandError(f"{path} is read-only. It was left as it is.")
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, data in ((backup, old), (path, content)):
            if file is not None and data is not None:
                with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as new:
                    new.write(data)
                Path(new.name).chmod(mode)
                Path(new.name).replace(file)
    except OSError as error:
        raise CommandError(f"{path} can't be written: {error.strerror}. It was left as it is.") from None
    seen, real = str(path).lower(), os.path.realpath(path).lower()
    if sys.platform == "win32" and "localcache" in real and "localcache" not in seen:
        raise CommandError(
            f"This program sees a private copy of {path}, which {client.title} does not read: Python or the shell came "
            "from the Microsoft Store. Run this from another terminal, with Python from python.org or uv."
        )
    return backup
