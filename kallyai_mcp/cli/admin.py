"""`kallyai-mcp admin`: for who runs a server, on its ledger; nobody has to be signed in."""

import json
from datetime import datetime

import click

from kallyai_mcp.calls.errors import NotCopiedError
from kallyai_mcp.calls.operator import CallGroup, WantedEntries
from kallyai_mcp.calls.storage import copy_file, ledger_file
from kallyai_mcp.cli.admin_commands import (
    Ledger,
    call_option,
    number_option,
    on_the_ledger,
    since_option,
    until_option,
)
from kallyai_mcp.cli.admin_screens import ask_to_delete, copied_screen, deleted_screen
from kallyai_mcp.cli.admin_tables import shown_audit, shown_calls
from kallyai_mcp.cli.call_commands import Shown
from kallyai_mcp.cli.output import CommandError, SetupError, say

_most_option = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    metavar="N",
    help="How many at most.",
)
_issuer_option = click.option(
    "--issuer", metavar="URL", help="The issuer (iss) of the tokens, if ACCOUNT is a subject."
)


@click.group("admin", invoke_without_command=True)
@click.pass_context
def admin(context: click.Context) -> None:
    """Look after the calls of all accounts, in the database of KALLYAI_DATABASE_URL or in the file
    of this machine.

    Nobody has to be signed in. ACCOUNT is the id that `calls` shows, or its beginning; or the
    subject (sub) of the account's KallyAI tokens.
    """
    if context.invoked_subcommand is None:
        say(context.get_help())


@admin.command("calls", short_help="List the calls of all accounts.")
@click.option(
    "--state",
    type=click.Choice([group.value for group in CallGroup]),
    help="Only these. due: may be placed now; late: may no longer be placed.",
)
@since_option
@until_option
@_most_option
@on_the_ledger
async def list_all(
    ledger: Ledger,
    *,
    state: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> Shown:
    """List the calls of all accounts, newest first; scheduled ones as they are due."""
    group = CallGroup(state) if state is not None else None
    found = await ledger.admin.calls(group, since, limit, until=until)
    return shown_calls(found, ledger.place, limit)


@admin.command("audit", short_help="Show who asked for calls, and what became of them.")
@click.argument("account", required=False)
@click.option("--all", "is_of_all", is_flag=True, help="Of all accounts.")
@number_option
@call_option
@_issuer_option
@since_option
@until_option
@_most_option
@on_the_ledger
async def list_audit(
    ledger: Ledger,
    *,
    account: str | None,
    is_of_all: bool,
    number: str | None,
    call: str | None,
    issuer: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> Shown:
    """Show who asked for calls, how the user agreed, and how each call ended, newest first."""
    if account is not None and is_of_all:
        raise click.UsageError("Name an ACCOUNT, or add --all; not both.")
    is_of_many = is_of_all or number is not None or call is not None
    if account is None and not is_of_many:
        raise click.UsageError("Name an ACCOUNT, a --number, or a --call, or add --all.")
    known = await ledger.account(account, issuer) if account is not None else None
    wanted = WantedEntries(account=known, number=number, call=call, since=since, until=until)
    found = await ledger.admin.audit(wanted, limit)
    return shown_audit(found, ledger.place, limit)


@admin.command("export", short_help="Print all that is stored of an account.")
@click.argument("account")
@_issuer_option
@on_the_ledger
async def export(ledger: Ledger, *, account: str, issuer: str | None) -> Shown:
    """Print all that is stored of an account, as JSON, for its user.

    What KallyAI itself stores of a call is not in it.
    """
    found = await ledger.everything(await ledger.account(account, issuer))
    return Shown(json.dumps(found, indent=2), found)


@admin.command("forget", short_help="Delete all that is stored of an account.")
@click.argument("account")
@_issuer_option
@click.option("--yes", "-y", is_flag=True, help="Delete it without a question.")
@on_the_ledger
async def delete(ledger: Ledger, *, account: str, issuer: str | None, yes: bool) -> Shown:
    """Delete all that is stored of an account, and end its sign-ins here.

    Of its calls of the last day, hashes stay for a day, so that none is placed twice. What KallyAI
    itself stores stays.
    """
    known = await ledger.account(account, issuer)
    counts = await ledger.counts(known)
    if not yes:
        ask_to_delete(known, counts, ledger.place)
    deleted = await ledger.delete(known)
    return Shown(deleted_screen(counts, deleted), {"deleted": counts} | vars(deleted))


@admin.command("copy", short_help="Copy this machine's ledger into PostgreSQL.")
@on_the_ledger
async def copy(ledger: Ledger) -> Shown:
    """Copy the ledger in the file of this machine into the empty database of KALLYAI_DATABASE_URL.

    Stop all servers first. The file is renamed then, and not read any more.
    """
    settings = ledger.connection.settings
    if settings.database_url is None:
        raise SetupError("KALLYAI_DATABASE_URL must name the database to copy into.")
    file = ledger_file(settings.home)
    try:
        counts = await copy_file(file, settings.database_url)
    except NotCopiedError as error:
        raise CommandError(f"Nothing was copied. {error}.") from None
    return Shown(copied_screen(counts, file), {"copied": dict(counts)})
