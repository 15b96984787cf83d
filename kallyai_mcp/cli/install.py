"""`kallyai-mcp install` and `uninstall`: this server's entry in a client."""

import compileall
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from kallyai_mcp.cli.clients import CLIENTS, Client, Entry, command_of, server_command
from kallyai_mcp.cli.output import CommandError, say
from kallyai_mcp.cli.sandbox import need_sandbox

_ADD_SECONDS = 60
_PACKAGE = Path(__file__).parents[1]
_WHY_NOT = "this program does not change files with comments, TOML, or YAML."


def _check_name(ctx: click.Context, param: click.Parameter, name: str) -> str:
    # Every client accepts such names; Claude Code accepts no others.
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", name):
        raise click.BadParameter("use only letters, digits, - and _, which every client takes", ctx, param)
    return name


_client_name = click.Choice(list(CLIENTS), case_sensitive=False)
_name = click.option("--name", default="kallyai", show_default=True, callback=_check_name, help="Name of the entry.")
_EPILOG = f"Clients: {', '.join(CLIENTS)}"


@click.command(epilog=_EPILOG)
@click.argument("client", metavar="[CLIENT]", type=_client_name, required=False)
@_name
@click.option("--sandbox", is_flag=True, help="Serve on an embedded sandbox: no account, nobody is called.")
@click.option("--print", "only_print", is_flag=True, help="Show the entry and change nothing.")
def install(*, client: str | None, name: str, sandbox: bool, only_print: bool) -> None:
    """Add this server to CLIENT; without CLIENT, list the clients that are found here.

    A client's own command adds it, if it has one. Else its file is edited: the rest stays as it is, and a backup is
    kept next to it. If neither can be done, the entry is printed to be pasted, and the exit code is 1.
    """
    if sandbox:
        need_sandbox()
    if client is None:
        _list(name)
        return
    is_compiled = only_print or compileall.compile_dir(_PACKAGE, quiet=2)
    _install(CLIENTS[client], name, sandbox=sandbox, only_print=only_print)
    if not is_compiled:
        say(f"Note: Python can't keep compiled files in {_PACKAGE}, so each start of the server takes 0.2 s longer.")


@click.command(epilog=_EPILOG)
@click.argument("client", metavar="CLIENT", type=_client_name)
@_name
def uninstall(*, client: str, name: str) -> None:
    """Remove this server from CLIENT."""
    known = CLIENTS[client]
    path, text = _read(known)
    servers = known.servers(text)
    if servers is not None and name not in servers:
        say(f'{known.title} has no entry "{name}" in {path}; nothing was changed.')
        return
    if known.removes and _ran(known, known.removes(name)):
        say(f'{known.title} no longer has the entry "{name}".')
    elif known.format == "json" and (new := _edited(text, known.table, name, None)) is not None:
        backup = _replace(path, new, known)
        say(f'{known.title} no longer has the entry "{name}", in {path}. The file as it was: {backup}.')
    else:
        raise CommandError(f'Remove the entry "{name}" under "{known.table}" in {path} yourself: {_WHY_NOT}')
    say(f"Next: restart {known.title}.")


def _list(name: str) -> None:
    here = [key for key, client in CLIENTS.items() if client.is_here()]
    if not here:
        say("No client was found here. You can still name one of these:")
    for key in here or CLIENTS:
        servers = CLIENTS[key].servers(_read(CLIENTS[key])[1])
        state = "can't be read" if servers is None else "has the entry" if name in servers else "no entry"
        say(f"  {key:<16} {state if here else ''}".rstrip())
    say("To add it: kallyai-mcp install CLIENT")


def _install(client: Client, name: str, *, sandbox: bool, only_print: bool) -> None:
    """Add the entry by the client's own program, else in its file; else print it, and raise `CommandError`."""
    (path, before), entry = _read(client), client.entry(name, *server_command(sandbox=sandbox))
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
    if old is not None and client.removes:
        _ran(client, client.removes(name))  # Claude Code adds no name that it has
    if client.adds and _ran(client, client.adds(name, entry)):
        say(f'{client.title} has the entry "{name}" now.')
    elif client.format == "json" and (new := _edited(before, client.table, name, entry)) is not None:
        backup = _replace(path, new, client)
        kept = f" The file as it was: {backup}." if backup else ""
        say(f'{client.title} has the entry "{name}" now, in {path}.{kept}')
    else:
        say(client.to_paste(name, entry))
        raise CommandError(f"Paste the entry above into {path} yourself: {_WHY_NOT}")
    say(f"Next: {client.reload}.")
    if sandbox:
        is_real = "--sandbox" not in (command_of(old) or ["--sandbox"])
        replaced = "It replaced the entry that makes real calls. " if is_real else ""
        say(f'{replaced}The sandbox calls nobody. Ask, for example: "Call +12025550100 and ask when they close."')
    else:
        say('Then ask it, for example: "Call +1… and ask when they close today."')
        say("Its first call asks you to sign in to KallyAI; `kallyai-mcp login` does that now.")
    if names := sorted(each for each in os.environ if each.startswith("KALLYAI_") and os.environ[each].strip()):
        say(f"Note: {client.title} may start the server without {', '.join(names)}. Put those into the entry's env.")


def _ran(client: Client, arguments: list[str]) -> bool:
    """Whether the client's own program is here and did what it was told."""
    command = [shutil.which(client.program) or "", *arguments]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ADD_SECONDS, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _read(client: Client) -> tuple[Path, str]:
    """A client's file, without symbolic links, and its text; "" if there is none."""
    path = client.path()
    try:
        path = path.resolve() if path.is_symlink() else path
        return path, path.read_bytes().decode("utf-8-sig")  # not `read_text`, which changes the ends of the lines
    except (FileNotFoundError, NotADirectoryError):
        return path, ""
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8. It was left as it is.") from None
    except (OSError, RuntimeError) as error:  # a link that leads to itself is a RuntimeError
        raise CommandError(f"{path} can't be read: {error}.") from None


def _replace(path: Path, text: str, client: Client) -> Path | None:
    """Replace a file by a rename, with its mode; returns the backup, if there was a file."""
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    backup = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.bak") if path.exists() else None
    try:
        if not mode & stat.S_IWUSR:
            raise CommandError(f"{path} is read-only. It was left as it is.")
        path.parent.mkdir(parents=True, exist_ok=True)
        if backup is not None:
            shutil.copy2(path, backup)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as new:
            new.write(text.encode())
        Path(new.name).chmod(mode)
        Path(new.name).replace(path)
    except OSError as error:
        raise CommandError(f"{path} can't be written: {error.strerror}. It was left as it is.") from None
    seen, real = str(path).lower(), os.path.realpath(path).lower()
    if sys.platform == "win32" and "localcache" in real and "localcache" not in seen:
        raise CommandError(
            f"This program sees a private copy of {path}, which {client.title} does not read: Python or the shell came "
            "from the Microsoft Store. Run this from another terminal, with Python from python.org or uv."
        )
    return backup


def _edited(text: str, table: str, name: str, entry: Entry | None) -> str | None:
    """A JSON text with this entry first in the table, or without it for None. All other characters stay as they are.

    None if the text is not plain JSON (it may have comments), or the table is something else.
    """
    text = text if text.strip() else "{\n}\n"
    try:
        wanted, root = json.loads(text), _skip(text, 0)
        if name in wanted.get(table, {}):
            del wanted[table][name]
            text = _without(text, _members(text, root)[table][1], name)
        if entry is not None:
            wanted.setdefault(table, {})[name] = entry
            if (found := _members(text, root).get(table)) is None:
                text = _with(text, root, 1, table, {name: entry})
            else:
                text = _with(text, found[1], 2, name, entry)
        return text if json.loads(text) == wanted else None  # not so if a name is there twice
    except (ValueError, RecursionError, AttributeError, TypeError):
        return None


def _skip(text: str, at: int, more: str = "") -> int:
    """The place of the next character that is no white space, nor one of `more`."""
    while text[at : at + 1] and text[at] in f" \t\r\n{more}":
        at += 1
    return at


def _members(text: str, at: int) -> dict[str, tuple[int, int, int]]:
    """The members of the object at `at`: where each begins, where its value begins, and where it ends."""
    decode, found = json.JSONDecoder().raw_decode, {}
    at = _skip(text, at + 1)
    while text[at] != "}":
        name, end = decode(text, at)
        value = _skip(text, end, ":")
        found[name] = (at, value, decode(text, value)[1])
        at = _skip(text, found[name][2], ",")
    return found


def _without(text: str, at: int, name: str) -> str:
    """The text without a member of the object at `at`, and without the comma beside it."""
    members = _members(text, at)
    begin, _, end = members.pop(name)
    after = [other for other, _, _ in members.values() if other > begin]
    if after:
        return text[:begin] + text[min(after) :]
    return text[: max((other for _, _, other in members.values()), default=at + 1)] + text[end:]


def _with(text: str, at: int, depth: int, name: str, value: object) -> str:
    """The text with a new member, first in the object at `at`, which is `depth` deep, and indented like the others."""
    has_lines, newline = "\n" in text.strip(), "\r\n" if "\r\n" in text else "\n"
    unit = found[1] if (found := re.search(r'\n([ \t]+)"', text)) else "  "
    member = json.dumps({name: value}, indent=unit if has_lines else None, ensure_ascii=False)[1:-1]
    member = member.replace("\n", newline + unit * (depth - 1))
    first = _skip(text, at + 1)
    if text[first] == "}":
        return text[: at + 1] + member + text[first:]
    return text[: at + 1] + member.rstrip() + ("," if has_lines else ", ") + text[at + 1 :]
