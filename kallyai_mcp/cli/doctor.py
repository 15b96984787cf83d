"""`kallyai-mcp doctor`: checks this installation, and says how to fix what is wrong."""

import platform
import shutil
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal, NamedTuple

import anyio
import click

from kallyai_mcp import __version__
from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.errors import NewerSchemaError
from kallyai_mcp.calls.storage import check_writable, last_public_url, ledger_file
from kallyai_mcp.cli.clients import CLIENTS, OUT_OF_CLONE, clone_of, command_of, kind_of
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.output import (
    CommandError,
    SetupError,
    explain,
    explain_beside,
    json_option,
    run,
    say_json,
)
from kallyai_mcp.setting_values import SettingsError
from kallyai_mcp.settings import Settings, about
from kallyai_mcp.tools.text.plain import duration, one_line, part

_SECONDS = 8.0
"""The most seconds for one check."""

_CLOCK_SECONDS = 60.0
"""How many seconds this machine's clock may differ from KallyAI's.

A token is renewed that long before it expires.
"""

_SIGNS = {"ok": "✓", "bad": "✗", "skipped": "-"}
_FIXES = {
    "api": (
        "look at the network, the proxy, and KALLYAI_API_URL; a service that sleeps needs half "
        "a minute"
    ),
    "ledger": "make the folder writable, or set KALLYAI_HOME to another one",
    "outdated": "install the newest version, and start the servers and clients again",
    "serve": "set it where the server runs",
    "database": (
        "see that PostgreSQL runs, and is set up as docs/hosting.md says; "
        'psql "$KALLYAI_DATABASE_URL" shows its own reason'
    ),
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
    """Check this installation, and say how to fix what is wrong; the exit code is 0 if all is
    well.
    """
    found = run(partial(_findings, settings))
    bad = [finding for finding in found if finding.status == "bad"]
    if as_json:
        say_json({"ok": not bad, "checks": [finding._asdict() for finding in found]})
        raise SystemExit(len(bad) > 0)
    for each in found:
        color = "red" if each.status == "bad" else None
        explain_beside(_label_of(each), _words_of(each), fg=color)
    if not bad:
        explain("All is well.", bold=True)
        return
    explain(f"{len(bad)} to fix. First: {bad[0].check}.", bold=True)
    raise SystemExit(1)


def _label_of(finding: Finding) -> str:
    sign = "!" if finding.status == "ok" and finding.fix else _SIGNS[finding.status]
    return f"{sign} {finding.check:<8} "


def _words_of(finding: Finding) -> str:
    return finding.message.rstrip(".") + part(". To fix it: {}", finding.fix)


async def _findings(settings: Settings | SettingsError) -> list[Finding]:
    program = (
        shutil.which("kallyai-mcp")
        or "`kallyai-mcp` is not on the PATH, so clients get its whole path"
    )
    versions = (
        f"kallyai-mcp {__version__}, Python {platform.python_version()}, "
        f"{platform.platform(terse=True)}"
    )
    found = [Finding("program", "ok", f"{versions}; {program}")]
    try:
        if isinstance(settings, SettingsError):
            raise settings
        opened = Connection(settings)
    except (SettingsError, CommandError) as error:
        return [
            *found,
            Finding("settings", "bad", str(error), _fix_of_setting(error)),
            *_clients(),
        ]
    found.append(_calls(settings))
    async with opened as connection:
        checks = [_sign_in, _api, _ledger]
        if settings.auth != "none":
            checks.append(_serve)
        found += [await _found_by(check, connection) for check in checks]
    return [*found, *_clients()]


def _calls(settings: Settings) -> Finding:
    """Whether calls may be placed, and what callees are told of who is calling."""
    if settings.stop_calls:
        switched_off = "no call is placed: KALLYAI_STOP_CALLS is set"
        return Finding("calls", "bad", switched_off, "remove KALLYAI_STOP_CALLS")
    if settings.disclosure:
        return Finding("calls", "ok", "KallyAI is told to say that it is an AI")
    not_told = "KallyAI is not told to say that it is an AI, so it may not say it"
    return Finding("calls", "ok", not_told, "remove KALLYAI_DISCLOSURE")


def _fix_of_setting(error: Exception) -> str:
    name = error.setting if isinstance(error, SettingsError) else ""
    if not name:
        return "set it as it says, or remove it"
    described = about(name)
    value = f"a value such as {described.example}" if described.example else "a valid value"
    return f"remove it, or set it to {value}: {described.words}"


async def _found_by(
    check: Callable[[Connection], Awaitable[Finding]], connection: Connection
) -> Finding:
    """What a check finds; a bad finding if it fails, or takes too long."""
    name = check.__name__.strip("_")
    try:
        with anyio.fail_after(_SECONDS):
            return await check(connection)
    except TimeoutError:
        return Finding(name, "bad", f"no answer within {_SECONDS:g} s", "try again in a minute")
    except (KallyAIError, SetupError) as error:
        return Finding(name, "bad", str(error), _fix_of(name, error, connection.settings))


def _fix_of(check: str, error: Exception, settings: Settings) -> str | None:
    """What helps if a check failed."""
    if isinstance(error, NewerSchemaError):
        return _FIXES["outdated"]
    if check == "ledger" and settings.database_url is not None:
        return _FIXES["database"]
    return _FIXES.get(check)


async def _sign_in(connection: Connection) -> Finding:
    settings = connection.settings
    if settings.sandbox:
        return Finding("sign_in", "skipped", "not needed with the embedded sandbox")
    if settings.auth in ("caller", "oauth"):
        return Finding("sign_in", "skipped", f"not needed with KALLYAI_AUTH={settings.auth}")
    if connection.session is not None:
        await connection.session.check()
    tokens = await connection.tokens.current()
    if tokens is None:
        return Finding(
            "sign_in",
            "skipped",
            "nobody is signed in; the first call asks, or `kallyai-mcp login` does it",
        )
    has_expired = tokens.expires_at <= time.time()
    if has_expired and tokens.refresh_token is None:
        return Finding(
            "sign_in", "bad", "the sign-in has ended and can't be renewed", "`kallyai-mcp login`"
        )
    who = one_line(tokens.who or "")
    return Finding("sign_in", "ok", f"signed in{part(' as {}', who)}")


async def _api(connection: Connection) -> Finding:
    url = connection.settings.api_url
    if connection.settings.sandbox:
        return Finding("api", "skipped", "not needed with the embedded sandbox")
    api = connection.api()
    before = time.time()
    if not await api.check_reachable():
        page = f"{url} answers with a web page: a bot check or a network's page"
        return Finding("api", "bad", page, _FIXES["api"])
    if api.server_time is None:
        return Finding("api", "ok", f"{url} answers, without its time")
    ahead = (before + time.time()) / 2 - api.server_time.timestamp()
    if abs(ahead) > _CLOCK_SECONDS:
        apart = f"{duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} KallyAI's"
        return Finding(
            "api",
            "bad",
            f"this machine's clock is {apart}",
            "set the clock, or let the network set it",
        )
    return Finding("api", "ok", f"{url} answers; the clocks agree")


async def _ledger(connection: Connection) -> Finding:
    settings = connection.settings
    await check_writable(connection.ledger())
    where = ledger_file(settings.home) if settings.database_url is None else "PostgreSQL"
    return Finding("ledger", "ok", f"{where} can be written")


async def _serve(connection: Connection) -> Finding:
    from kallyai_mcp.cli.serve_http import check_access  # late: it imports the MCP SDK

    settings = connection.settings
    check_access(settings, None)
    if settings.auth == "oauth":
        served = await last_public_url(connection.ledger())
        if served not in (None, settings.public_url):
            all_end = f"KALLYAI_PUBLIC_URL was {served}; with another one, all sign-ins end"
            return Finding("serve", "ok", all_end, "set it back, unless that is meant")
    return Finding("serve", "ok", f"KALLYAI_AUTH={settings.auth} has what a server over HTTP needs")


def _clients() -> list[Finding]:
    """A finding for each entry of a client that starts this program."""
    found = []
    for client in CLIENTS.values():
        for name, entry in client.entries().items():
            words = command_of(entry)
            if words is not None:
                found.append(_of_entry(client.title, name, words[0], kind_of(entry)))
    return found or [
        Finding("client", "skipped", "no client has an entry; `kallyai-mcp install` adds one")
    ]


def _of_entry(title: str, name: str, program: str, kind: str) -> Finding:
    if shutil.which(program) is not None:
        has_it = f"{title} has the entry {name} ({kind})"
        clone = clone_of(program)
        if clone is None:
            return Finding("client", "ok", has_it)
        from_clone = f"{has_it}, from the .venv of the clone {clone}"
        return Finding("client", "ok", from_clone, OUT_OF_CLONE)
    fix = f"add the entry again with `kallyai-mcp install`, for {title}"
    return Finding("client", "bad", f"{title} starts {program}, which is not there", fix)
