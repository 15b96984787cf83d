"""`kallyai-mcp install` and `uninstall`: this server's entry in a client."""

import difflib
import re
import sys

import click

from kallyai_mcp.cli.client_entry import (
    change_of,
    compile_program,
    make,
    remove_entry,
    say_next,
    say_what_it_depends_on,
)
from kallyai_mcp.cli.clients import CLIENTS, Client, client_named, entry_state
from kallyai_mcp.cli.output import explain, need_sandbox, say
from kallyai_mcp.setting_values import SettingsError
from kallyai_mcp.settings import Settings


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
        name = client_named(value)
        if name is not None:
            return name
        near = difflib.get_close_matches(value.lower(), CLIENTS, n=1, cutoff=0.5)
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
@click.pass_obj
def install(
    settings: Settings | SettingsError,
    *,
    client: str | None,
    name: str,
    sandbox: bool,
    only_print: bool,
) -> None:
    """Add this server to CLIENT; without CLIENT, choose one of those that are found here.

    A client's own command adds it, if it has one. Else its file is edited: the rest stays as it is,
    and a backup is kept next to it. If neither can be done, the entry is printed to be pasted, and
    the exit code is 1.

    Without CLIENT, a person at a terminal is asked for the client and for the kind of calls, and
    sees that the server starts. Without a terminal, the clients are listed.
    """
    if sandbox:
        need_sandbox()
    if client is not None:
        _install(CLIENTS[client], name, sandbox=sandbox, only_print=only_print)
        return
    here = {key: known for key, known in CLIENTS.items() if known.is_here()}
    if not here:
        explain(f"No client was found here. {_EPILOG}")
    elif only_print or not _has_a_person():
        _list(here, name)
    else:
        from kallyai_mcp.cli.guided_install import guide

        guide(here, name, settings, wants_sandbox=sandbox)


def _has_a_person() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _list(clients: dict[str, Client], name: str) -> None:
    for key, client in clients.items():
        say(f"  {key:<16} {entry_state(client, name)}")
    say("To add it: kallyai-mcp install CLIENT")


def _install(client: Client, name: str, *, sandbox: bool, only_print: bool) -> None:
    change = change_of(client, name, sandbox=sandbox)
    if only_print:
        say(client.to_paste(name, change.entry))
        explain(f"It goes into {change.path}; nothing was changed.", err=True)
        return
    make(change)
    if not change.is_made:
        say_next(change, sandbox=sandbox)
    say_what_it_depends_on(change)
    compile_program()


@click.command(epilog=_EPILOG)
@click.argument("client", metavar="CLIENT", type=_client_name)
@_name
def uninstall(*, client: str, name: str) -> None:
    """Remove this server from CLIENT."""
    remove_entry(CLIENTS[client], name)
