"""`kallyai-mcp doctor`: checks this installation, and says how to fix what is wrong."""

import platform
import shutil
import time
from functools import partial
from typing import Literal, NamedTuple

import anyio
import click

from kallyai_mcp import __version__
from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.cli.clients import CLIENTS, command_of
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.output import CommandError, SetupError, json_option, run, say, say_json
from kallyai_mcp.settings import Settings, SettingsError
from kallyai_mcp.tools.text.plain import duration, one_line

_SECONDS = 8.0
"""The most seconds for one check."""

_CLOCK_SECONDS = 60.0
"""How many seconds this machine's clock may differ from KallyAI's. A token is renewed that long before it expires."""

_SIGNS = {"ok": "✓", "bad": "✗", "skipped": "-"}
_FIXES = {
    "api": "look at the network, the proxy, and KALLYAI_API_URL; a service that sleeps needs half a minute",
    "ledger": "make the folder writable, or set KALLYAI_HOME to another one",
    "serve": "set it where the server runs",
    "database": "see that PostgreSQL runs, and is set up as docs/hosting.md says",
}


class Finding(NamedTuple):
    """What a check found: one line, and what to do about it."""

    check: str
    status: Literal["ok", "bad", "skipped"]
    message: str
    fix: str | None = None


@click.command()
@json_option
@click.pass_obj
def doctor(settings: Settings | SettingsError, *, as_json: bool) -> None:
    """Check this installation, and say how to fix what is wrong; the exit code is 0 if all is well."""
    found = run(partial(_findings, settings))
    bad = [finding for finding in found if finding.status == "bad"]
    if as_json:
        say_json({"ok": not bad, "checks": [finding._asdict() for finding in found]})
        raise SystemExit(len(bad) > 0)
    for each in found:
        fix = f". To fix it: {each.fix}" if each.fix else ""
        message = each.message.rstrip(".")
        say(f"{_SIGNS[each.status]} {each.check:<8} {message}{fix}", fg="red" if each.status == "bad" else None)
    say("All is well." if not bad else f"{len(bad)} to fix. First: {bad[0].check}.", bold=True)
    raise SystemExit(len(bad) > 0)


async def _findings(settings: Settings | SettingsError) -> list[Finding]:
    program = shutil.which("kallyai-mcp") or "`kallyai-mcp` is not on the PATH, so clients get its whole path"
    versions = f"kallyai-mcp {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}"
    found = [Finding("program", "ok", f"{versions}; {program}")]
    try:
        if isinstance(settings, SettingsError):
            raise settings
        opened = Connection(settings)
    except (SettingsError, CommandError) as error:
        return [*found, Finding("settings", "bad", str(error), "set it as it says, or remove it"), *_clients()]
    async with opened as connection:
        for check in (_sign_in, _api, _ledger, *((_serve,) if settings.auth != "none" else ())):
            name = check.__name__.strip("_")
            try:
                with anyio.fail_after(_SECONDS):
                    found.append(await check(connection))
            except TimeoutError:
                found.append(Finding(name, "bad", f"no answer within {_SECONDS:g} s", "try again in a minute"))
            except (KallyAIError, SetupError) as error:
                what = "database" if name == "ledger" and settings.database_url is not None else name
                found.append(Finding(name, "bad", str(error), _FIXES.get(what)))
    return [*found, *_clients()]


async def _sign_in(connection: Connection) -> Finding:
    settings = connection.settings
    if settings.sandbox or settings.auth in ("caller", "oauth"):
        why = "the embedded sandbox" if settings.sandbox else f"KALLYAI_AUTH={settings.auth}"
        return Finding("sign_in", "skipped", f"not needed with {why}")
    if connection.session is not None:
        await connection.session.check()
    tokens = await connection.tokens.current()
    if tokens is None:
        return Finding("sign_in", "skipped", "nobody is signed in; the first call asks, or `kallyai-mcp login` does it")
    if tokens.expires_at <= time.time() and tokens.refresh_token is None:
        return Finding("sign_in", "bad", "the sign-in has ended and can't be renewed", "`kallyai-mcp login`")
    return Finding("sign_in", "ok", f"signed in as {one_line(tokens.who)}" if tokens.who else "signed in")


async def _api(connection: Connection) -> Finding:
    url = connection.settings.api_url
    if connection.settings.sandbox:
        return Finding("api", "skipped", "not needed with the embedded sandbox")
    api, before = connection.api(), time.time()
    if not await api.check_reachable():
        page = f"{url} answers with a web page: a bot check or a network's page"
        return Finding("api", "bad", page, _FIXES["api"])
    if api.server_time is None:
        return Finding("api", "ok", f"{url} answers, without its time")
    ahead = (before + time.time()) / 2 - api.server_time.timestamp()
    if abs(ahead) > _CLOCK_SECONDS:
        apart = f"{duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} KallyAI's"
        return Finding("api", "bad", f"this machine's clock is {apart}", "set the clock, or let the network set it")
    return Finding("api", "ok", f"{url} answers; the clocks agree")


async def _ledger(connection: Connection) -> Finding:
    settings = connection.settings
    await connection.ledger().write(None, lambda tx: tx.now)  # raises an error if it can't be written
    where = settings.home / "ledger.db" if settings.database_url is None else "PostgreSQL"
    return Finding("ledger", "ok", f"{where} can be written")


async def _serve(connection: Connection) -> Finding:
    from kallyai_mcp.cli.serve_http import check_access  # late: it imports the MCP SDK

    check_access(connection.settings, None)
    return Finding("serve", "ok", f"KALLYAI_AUTH={connection.settings.auth} has what a server over HTTP needs")


def _clients() -> list[Finding]:
    """A finding for each entry of a client that starts this program."""
    found = []
    for client in CLIENTS.values():
        for name, entry in (client.servers() or {}).items():
            if (words := command_of(entry)) is None:
                continue
            if shutil.which(words[0]) is None:
                fix = f"add the entry again with `kallyai-mcp install`, for {client.title}"
                found.append(Finding("client", "bad", f"{client.title} starts {words[0]}, which is not there", fix))
            else:
                found.append(Finding("client", "ok", f"{client.title} has the entry {name}"))
    return found or [Finding("client", "skipped", "no client has an entry; `kallyai-mcp install` adds one")]
