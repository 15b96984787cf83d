"""What the commands of `kallyai-mcp admin` share: the ledger, and how an account is named."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

import click

from kallyai_mcp.auth.oauth_server.stored import Stored
from kallyai_mcp.auth.tokens import account_of
from kallyai_mcp.calls.admin import Admin
from kallyai_mcp.calls.errors import AccountInUseError
from kallyai_mcp.calls.operator import Deleted, numbers_like
from kallyai_mcp.calls.storage import SharedValues, ledger_file
from kallyai_mcp.cli.call_commands import Shown, print_result
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.output import CommandError, json_option
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.text.plain import one_line

_ID = re.compile(r"[0-9a-f]{8,32}")
"""The id of an account, or enough of its beginning."""

_ID_LENGTH = 32


@dataclass(frozen=True)
class Ledger:
    """The ledger that a command works on.

    Attributes:
        place: Where it is, for a person.
        connection: Its connection, which has the settings.
    """

    admin: Admin
    place: str
    connection: Connection

    async def account(self, named: str, issuer: str | None) -> str:
        """The id of the account that is named by its id, by the beginning of that, or by the
        subject of its tokens.

        Raises `CommandError` if there is no such account here, or several.
        """
        if issuer is None and _ID.fullmatch(named):
            known = await self.admin.accounts_like(named)
            if len(known) > 1:
                raise CommandError(f"Several accounts begin with {named}; give more of the id.")
            if known:
                return known[0]
            if len(named) == _ID_LENGTH:
                return named
        return await self._of_subject(named, issuer)

    async def everything(self, account: str) -> dict[str, Any]:
        """All that is stored of an account, and where."""
        stored = {"api": self.admin.api, "account": account, **await self.admin.export(account)}
        sign_ins = []
        for family, browser in (await self.stored.sign_ins(account)).items():
            app = (await self.stored.apps(browser)).get(family)
            sign_ins.append(vars(app) if app is not None else {})
        return stored | {"sign_ins": sign_ins}

    async def counts(self, account: str) -> dict[str, int]:
        """How much of each kind is stored of an account."""
        counts = await self.admin.counts(account)
        return counts | {"sign_ins": len(await self.stored.sign_ins(account))}

    async def delete(self, account: str) -> Deleted:
        """Delete all that is stored of an account, and end its sign-ins.

        Raises `CommandError` while a call of it is in progress. Then the sign-ins stay, unless the
        call has begun meanwhile.
        """
        try:
            await self.admin.check_none_runs(account)
            await self.stored.end_sign_ins(account)  # first: who is signed in may ask for a call
            return await self.admin.delete(account)
        except AccountInUseError:
            raise CommandError(
                "A call of this account is in progress. Try again when it has ended: "
                "`kallyai-mcp admin calls --state in_progress`."
            ) from None

    @property
    def stored(self) -> Stored:
        """What is stored of sign-ins."""
        values = SharedValues(self.admin.ledger)
        return Stored(values.put, values.get, values.all_of)

    async def _of_subject(self, subject: str, issuer: str | None) -> str:
        if issuer is not None:
            return account_of(issuer, subject)
        api = self.admin.api
        for likely in (api, f"{api}/", None):
            account = account_of(likely, subject)
            if await self.admin.accounts_like(account):
                return account
        raise CommandError(
            f"No account {one_line(subject, 80)} in {self.place}. If it is a subject, name the "
            "issuer of its tokens with --issuer."
        )


def on_the_ledger(work: Callable[..., Awaitable[Shown]]) -> Callable[..., Any]:
    """Make a function a command with the option --json, which gets the ledger and prints what the
    function returns.
    """

    @wraps(work)
    def command(settings: Settings, /, *, as_json: bool, **arguments: Any) -> None:
        async def opened() -> Shown:
            _check_exists(settings)
            async with Connection(settings) as connection:
                api = connection.settings.api_url
                ledger = Ledger(Admin(connection.ledger(), api), place_of(settings), connection)
                return await work(ledger, **arguments)

        print_result(opened, as_json=as_json)

    return json_option(click.pass_obj(command))


def _check_exists(settings: Settings) -> None:
    """Raise `CommandError` if there is no file: a new, empty ledger would answer nothing."""
    if settings.database_url is None and not ledger_file(settings.home).exists():
        raise CommandError(
            f"There is no {place_of(settings)}. Give the command the server's variables: "
            "KALLYAI_DATABASE_URL or KALLYAI_HOME."
        )


def place_of(settings: Settings) -> str:
    """Where the ledger of these settings is."""
    if settings.database_url is not None:
        return "the database of KALLYAI_DATABASE_URL"
    return str(ledger_file(settings.home))


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """The time, aware; without an offset it is in UTC."""
    if text is None:
        return None
    ago = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if ago is not None:
        return datetime.now(UTC) - int(ago[1]) * _SPANS[ago[2]]
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"write it as one of {_TIMES}") from None
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)


def _number(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """The pattern of the numbers that are meant."""
    if text is None:
        return None
    pattern = numbers_like(text)
    if pattern is None:
        raise click.BadParameter(f"write it as one of {_NUMBERS}")
    return pattern


def _call(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """The id or its beginning. An empty one would be that of every call."""
    if text is not None and not text.strip("… "):
        raise click.BadParameter("name an id, or its beginning")
    return text.strip("… ") if text is not None else None


_NUMBERS = "+14155551234, +1415, 1234, +1…34"

number_option = click.option(
    "--number",
    callback=_number,
    metavar="NUMBER",
    help=f"Of numbers that are, begin, or end so: {_NUMBERS}, as in the log.",
)

call_option = click.option(
    "--call",
    callback=_call,
    metavar="ID",
    help="Of the call with this tracking_id or KallyAI's call_id, or its beginning.",
)

_TIMES = "2026-12-01, 2026-12-01T09:00Z, 30m, 24h, 7d"
_SPANS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}

since_option = click.option(
    "--since",
    callback=_moment,
    metavar="TIME",
    help=f"Only what was asked for since then: {_TIMES}.",
)

until_option = click.option(
    "--until",
    callback=_moment,
    metavar="TIME",
    help="Only what was asked for before then.",
)
