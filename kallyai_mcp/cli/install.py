"""`kallyai-mcp install` and `uninstall`: this server's entry in a client's own configuration."""

import json
import os
import re
from pathlib import Path

import click

from kallyai_mcp.cli.clients.command import server_command
from kallyai_mcp.cli.clients.errors import ClientFileError, HasCommentsError
from kallyai_mcp.cli.clients.files import FORMATS, Change, ClientFile
from kallyai_mcp.cli.clients.known import CLIENTS, Client, Machine
from kallyai_mcp.cli.console import say, table
from kallyai_mcp.cli.errors import CommandError
from kallyai_mcp.cli.sandbox import need_sandbox


def list_clients(name: str) -> None:
    """Print the clients that are found here, whether each has the entry `name`, and the command that adds it."""
    machine = Machine.this()
    here = [client for client in CLIENTS.values() if client.is_on(machine)]
    if not here:
        say("No client was found here. You can still name one of these:")
    rows = []
    added, missing = "has the entry", "has no entry"
    for client in here or CLIENTS.values():
        try:
            has_entry = name in ClientFile(client, machine).servers()
        except ClientFileError as error:
            rows.append((client.title, client.key, str(error)))
            continue
        rows.append((client.title, client.key, added if has_entry else missing if here else ""))
    for line in table(rows, indent="  "):
        say(line)
    say("To add the entry: kallyai-mcp install CLIENT, with a name of the second column; or --all")


def install_everywhere(*, name: str, sandbox: bool, only_print: bool) -> None:
    """Write the entry into the file of each client that is found here. The arguments are those of `install`.

    Raises:
        click.ClickException: There is no client, or an entry could not be written; the other entries were written.
    """
    machine = Machine.this()
    keys = [client.key for client in CLIENTS.values() if client.is_on(machine)]
    if not keys:
        raise CommandError("No client was found here. `kallyai-mcp install CLIENT` adds the entry to one.")
    failures = []
    for key in keys:
        try:
            install(key, name=name, sandbox=sandbox, only_print=only_print)
        except click.ClickException as error:
            failures.append(error.message)
    if failures:
        raise CommandError("\n".join(failures))


def install(key: str, *, name: str, sandbox: bool, only_print: bool, path: Path | None = None) -> None:
    """Write the entry into a client's file, or print it.

    If the file has comments, which an edit would lose, the entry is printed, so that the user can paste it.

    Args:
        key: The client (`CLIENTS`).
        name: The name of the entry.
        sandbox: The entry starts the server with the embedded sandbox.
        only_print: Write nothing. Print the entry to stdout as the file would have it, and its place to stderr.
        path: Another file of the client's format; None for the file that the client reads.

    Raises:
        click.ClickException: Nothing was changed; the message says why.
    """
    _check(name)
    if sandbox:
        need_sandbox()
    file = ClientFile(CLIENTS[key], Machine.this(), path)
    client = file.client
    *tables, _ = file.place_of(name)
    entry = client.entry(name, *server_command(sandbox=sandbox), is_inner=tables[-1] == client.inner_table)
    if only_print:
        say(FORMATS[client.format].put("", (*tables, name), entry).rstrip("\n"))
        say(f"It goes into {file.path}; nothing was written.", err=True)
        return
    try:
        change = file.install(name, entry)
    except HasCommentsError as error:
        say(f'"{name}": {json.dumps(file.merged(name, entry), indent=2, ensure_ascii=False)}')
        place = ".".join(tables)
        raise CommandError(
            f'{error} Paste the entry above into it yourself, under "{place}", in place of an entry "{name}" if '
            "there is one."
        ) from None
    if not change.changed:
        say(f'{client.title} has the entry "{name}" already, in {file.path}; nothing was changed.')
        return
    said = f'{client.title} has the entry "{name}" now, in {file.path}.'
    say(f"{said} {_backup(change)}" if change.backup else said)
    say(f"Next: {client.reload}.")
    number = "+12025550100" if sandbox else "+1…"
    say(f'Then ask it, for example: "Call {number} and ask when they close today."')
    if not sandbox:
        say("Its first call asks you to sign in to KallyAI; `kallyai-mcp login` does that now.")
    _name_settings(client)


def uninstall(key: str, *, name: str, path: Path | None = None) -> None:
    """Remove the entry from a client's file.

    Args:
        key: The client (`CLIENTS`).
        name: The name of the entry.
        path: See `install`.

    Raises:
        click.ClickException: Nothing was changed; the message says why.
    """
    _check(name)
    file = ClientFile(CLIENTS[key], Machine.this(), path)
    client = file.client
    try:
        change = file.uninstall(name)
    except HasCommentsError as error:
        place = ".".join(file.place_of(name)[:-1])
        raise CommandError(f'{error} Remove the entry "{name}" under "{place}" yourself.') from None
    if not change.changed:
        say(f'{client.title} has no entry "{name}" in {file.path}; nothing was changed.')
        return
    said = f'{client.title} no longer has the entry "{name}", in {file.path}.'
    say(f"{said} {_backup(change)}")
    say(f"Next: restart {client.title}.")


def _backup(change: Change) -> str:
    return f"The file as it was: {change.backup}."


def _check(name: str) -> None:
    # Every client accepts such names; Claude Code accepts no others.
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", name):
        raise click.BadParameter(
            "only letters, digits, - and _ make a name that every client takes", param_hint="--name"
        )


def _name_settings(client: Client) -> None:
    """Print the names of this shell's settings, which the client may not pass on. Their values may be secret."""
    if names := sorted(name for name in os.environ if name.startswith("KALLYAI_") and os.environ[name].strip()):
        given = ", ".join(names)
        say(
            f"Note: these settings have values here: {given}. {client.title} may start the server without them; "
            "put those that it needs into the entry's env."
        )
