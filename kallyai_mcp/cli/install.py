"""`kallyai-mcp install` and `uninstall`: this server's entry in a client's own configuration."""

import json
import os
import re
from pathlib import Path

import click

from kallyai_mcp.cli.clients.command import server_command
from kallyai_mcp.cli.clients.errors import ClientFileError, HasCommentsError
from kallyai_mcp.cli.clients.files import FORMATS, ClientFile
from kallyai_mcp.cli.clients.known import CLIENTS, Client, Machine
from kallyai_mcp.cli.console import say, table
from kallyai_mcp.cli.sandbox import need_sandbox


def list_clients(name: str) -> None:
    """Print which clients are found here, whether each has the entry `name`, and what to type next."""
    machine = Machine.this()
    here = [client for client in CLIENTS.values() if client.is_on(machine)]
    if not here:
        say("No client was found here. These can be named all the same:")
    rows = []
    for client in here or CLIENTS.values():
        try:
            has_entry = name in ClientFile(client, machine).servers()
        except ClientFileError as error:
            rows.append((client.title, client.key, str(error)))
            continue
        rows.append((client.title, client.key, "has the entry" if has_entry else "has no entry" if here else ""))
    for line in table(rows, indent="  "):
        say(line)
    say("To add the entry: kallyai-mcp install CLIENT, with a name of the second column; or --all")


def install_everywhere(*, name: str, sandbox: bool, only_print: bool) -> None:
    """Write the entry into the file of each client that is found here. The arguments are those of `install`.

    Raises:
        click.ClickException: There is no client, or an entry could not be written; the others were.
    """
    machine = Machine.this()
    keys = [client.key for client in CLIENTS.values() if client.is_on(machine)]
    if not keys:
        raise click.ClickException("No client was found here. `kallyai-mcp install CLIENT` adds the entry to one.")
    failures = []
    for key in keys:
        try:
            install(key, name=name, sandbox=sandbox, only_print=only_print)
        except click.ClickException as error:
            failures.append(error.message)
    if failures:
        raise click.ClickException("\n".join(failures))


def install(key: str, *, name: str, sandbox: bool, only_print: bool, path: Path | None = None) -> None:
    """Write the entry into a client's file, or print it.

    The entry is printed to be pasted when the file has comments, which an edit would lose.

    Args:
        key: The client (`CLIENTS`).
        name: What the entry is called.
        sandbox: Have it serve on the embedded sandbox.
        only_print: Write nothing: print the entry to stdout as it would stand in the file, and where to stderr.
        path: Another file of the client's format; None for the one that it reads.

    Raises:
        click.ClickException: Nothing was changed; the message says why.
    """
    _check(name)
    if sandbox:
        need_sandbox()
    client, file = _open(key, path)
    try:
        *tables, _ = file.place_of(name)
    except ClientFileError as error:
        raise click.ClickException(str(error)) from None
    entry = client.entry(name, *server_command(sandbox=sandbox), is_inner=tables[-1] == client.inner_table)
    if only_print:
        say(_document(client, (*tables, name), entry))
        say(f"It goes into {file.path}; nothing was written.", err=True)
        return
    try:
        change = file.install(name, entry)
    except HasCommentsError as error:
        say(f'"{name}": {json.dumps(file.merged(name, entry), indent=2, ensure_ascii=False)}')
        where = f'"{".".join(tables)}", in place of an entry "{name}" if there is one'
        raise click.ClickException(f"{error} Paste the entry above into it yourself, under {where}.") from None
    except ClientFileError as error:
        raise click.ClickException(str(error)) from None
    if not change.changed:
        say(f'{client.title} has the entry "{name}" already, in {file.path}; nothing was changed.')
        return
    backup = f" The file as it was: {change.backup}." if change.backup else ""
    say(f'{client.title} has the entry "{name}" now, in {file.path}.{backup}')
    say(f"Next: {client.restart}.")
    number = "+12025550100" if sandbox else "+1…"
    say(
        f'Then ask it, for example: "Call {number} and ask when they close today."',
    )
    if not sandbox:
        say("Its first call asks you to sign in to KallyAI; `kallyai-mcp login` does that now.")
    _name_settings(client)


def uninstall(key: str, *, name: str, path: Path | None = None) -> None:
    """Remove the entry from a client's file.

    Args:
        key: The client (`CLIENTS`).
        name: What the entry is called.
        path: See `install`.

    Raises:
        click.ClickException: Nothing was changed; the message says why.
    """
    _check(name)
    client, file = _open(key, path)
    try:
        change = file.uninstall(name)
    except HasCommentsError as error:
        raise click.ClickException(
            f'{error} Remove the entry "{name}" under "{".".join(file.place_of(name)[:-1])}" yourself.'
        ) from None
    except ClientFileError as error:
        raise click.ClickException(str(error)) from None
    if not change.changed:
        say(f'{client.title} has no entry "{name}" in {file.path}; nothing was changed.')
        return
    say(f'{client.title} no longer has the entry "{name}", in {file.path}. The file as it was: {change.backup}.')
    say(f"Next: restart {client.title}.")


def _open(key: str, path: Path | None) -> tuple[Client, ClientFile]:
    client = CLIENTS[key]
    return client, ClientFile(client, Machine.this(), path)


def _check(name: str) -> None:
    # What every client accepts as a name; Claude Code is the strictest.
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", name):
        raise click.BadParameter(
            "only letters, digits, - and _ make a name that every client takes", param_hint="--name"
        )


def _document(client: Client, place: tuple[str, ...], entry: dict[str, object]) -> str:
    """A file with nothing but the entry."""
    text: str = FORMATS[client.format].put("", place, entry)
    return text.rstrip("\n")


def _name_settings(client: Client) -> None:
    """Print which settings of this shell the client may not pass on; not their values, which may be secret."""
    if names := sorted(name for name in os.environ if name.startswith("KALLYAI_") and os.environ[name].strip()):
        say(
            f"Note: {', '.join(names)} {'is' if len(names) == 1 else 'are'} set here. {client.title} may start the "
            "server without; what it needs belongs into the entry's env."
        )
