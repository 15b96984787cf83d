"""The checks of `kallyai-mcp doctor` on this machine: none changes anything or returns a secret."""

import difflib
import os
import platform
import shutil
import tempfile
from contextlib import aclosing
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import anyio
import click

from kallyai_mcp import __version__
from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.records import AccountKey, CallState
from kallyai_mcp.cli.clients.command import is_ours
from kallyai_mcp.cli.clients.errors import ClientFileError
from kallyai_mcp.cli.clients.files import ClientFile
from kallyai_mcp.cli.clients.known import CLIENTS, Machine
from kallyai_mcp.cli.ledger import open_ledger
from kallyai_mcp.settings import Settings, SettingsError
from kallyai_mcp.tools.text.plain import duration, one_line

Verdict = Literal["ok", "bad", "skipped"]

SECRETS = {"access_token", "client_secret", "secret_keys", "mcp_token", "redis_url", "database_url"}
"""Settings that are only shown as set or not set; the URL of a database may hold a password."""

STUCK_SECONDS = 900.0
"""How long a call may be in progress before it counts as stuck: much longer than the API allows."""


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        check: The stable name of the check.
        verdict: `ok`; `bad` when something must be fixed; `skipped` when the check could not or need not be made.
        message: One line.
        fix: What to do, if it is bad.
        details: For programs; JSON types.
    """

    check: str
    verdict: Verdict
    message: str
    fix: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


def version() -> Finding:
    """The versions of this program, Python, and the operating system."""
    python, system = platform.python_version(), platform.platform(terse=True)
    details = {"version": __version__, "python": python, "platform": system}
    return Finding("version", "ok", f"kallyai-mcp {__version__}, Python {python}, {system}", details=details)


def settings_and_sources(settings: Settings | SettingsError) -> Finding:
    """Every setting and where it comes from, and variables with a misspelled name of a setting."""
    if isinstance(settings, SettingsError):
        return Finding("settings", "bad", str(settings), "set it as it says, or remove it")
    known = {f"KALLYAI_{each.name.removesuffix('_override').upper()}": each.name for each in fields(settings)}
    given = sorted(name for name in os.environ if name.startswith("KALLYAI_") and os.environ[name].strip())
    table: dict[str, Any] = {}
    for variable, name in known.items():
        value = settings.home if name == "home_override" else getattr(settings, name)
        if name in SECRETS:
            value = "set" if value is not None else None
        value = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
        table[variable] = {"value": value, "source": "environment" if variable in given else "default"}
    unknown = [name for name in given if name not in known]
    misspelled = {name: near[0] for name in unknown if (near := difflib.get_close_matches(name, known, 1, 0.85))}
    message = ", ".join(f"{name}={_shown(table[name]['value'])}" for name in given if name in known)
    message = f"{message} (environment); all others have their defaults" if message else "all have their defaults"
    details = {"settings": table, "unknown": unknown}
    if misspelled:
        names = " and ".join(f"{wrong} ({right}?)" for wrong, right in misspelled.items())
        return Finding("settings", "bad", f"{names}: no such setting; {message}", "correct the name", details)
    return Finding(
        "settings", "ok", message + (f"; no settings: {', '.join(unknown)}" if unknown else ""), details=details
    )


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else one_line(str(value))


def sandbox() -> Finding:
    """Whether the embedded sandbox is installed."""
    from kallyai_mcp.cli.sandbox import need_sandbox

    try:
        need_sandbox()
    except click.ClickException as error:
        return Finding("sandbox", "bad", error.message, "install it as it says, or remove KALLYAI_SANDBOX")
    return Finding("sandbox", "ok", "KALLYAI_SANDBOX is on: calls go to the embedded sandbox, and nobody is called")


def ledger(settings: Settings) -> Finding:
    """Whether the ledger can be written."""
    name = "Redis (KALLYAI_REDIS_URL)" if settings.redis_url else str(settings.home / "ledger.db")
    details = {"place": name}
    try:
        if settings.redis_url is None and not (settings.home / "ledger.db").exists():
            _try_folder(settings.home)
            return Finding("ledger", "ok", f"{name} can be created; it does not exist yet", details=details)
        anyio.run(_write_nothing, settings)
    except (KallyAIError, ValueError) as error:
        fix = "see that Redis runs and KALLYAI_REDIS_URL is right" if settings.redis_url else "make it writable"
        return Finding("ledger", "bad", str(error), f"{fix}; until then no call is placed", details)
    except OSError as error:
        message = f"{name} can't be written: {error.strerror or type(error).__name__}"
        fix = "make its folder writable, or set KALLYAI_HOME to another; until then no call is placed"
        return Finding("ledger", "bad", message, fix, details)
    return Finding("ledger", "ok", f"{name} can be written", details=details)


def _try_folder(folder: Path) -> None:
    """Raises `OSError` when `folder` is not writable, or, if it does not exist, can't be created."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    with tempfile.TemporaryFile(dir=existing):
        pass


async def _write_nothing(settings: Settings) -> None:
    async with aclosing(open_ledger(settings)) as opened:
        await opened.check()


def stuck_calls(settings: Settings, tokens: Any) -> Finding:
    """Calls with an unknown outcome, or in progress for too long."""
    if tokens is None:
        return Finding("stuck_calls", "skipped", "not checked, as nobody is signed in")

    async def ask() -> list[Any]:
        async with aclosing(open_ledger(settings)) as opened:
            return await opened.list_unsettled(AccountKey(settings.api_url, tokens.account))

    try:
        records = anyio.run(ask)
    except (KallyAIError, ValueError):
        return Finding("stuck_calls", "skipped", "not checked, as the ledger can't be read")
    now = datetime.now(UTC)
    stuck = [each for each in records if each.state is CallState.UNKNOWN or each.elapsed(now) > STUCK_SECONDS]
    details = {
        "in_progress": len(records) - len(stuck),
        "stuck": [
            {"tracking_id": each.tracking_id, "state": each.state.value, "placed_at": each.placed_at.isoformat()}
            for each in stuck
        ],
    }
    if not stuck:
        return Finding("stuck_calls", "ok", f"none; {len(records)} in progress", details=details)
    rows = ", ".join(
        f"{each.tracking_id} ({'unknown' if each.state is CallState.UNKNOWN else 'in progress'}, placed "
        f"{duration(each.elapsed(now))} ago)"
        for each in stuck
    )
    fix = "let an agent use get_call with that id, which looks the call up again; don't place the call again before"
    return Finding("stuck_calls", "bad", rows, fix, details)


def clients(machine: Machine) -> Finding:
    """Which clients start this program, and whether the command of their entry exists."""
    rows: list[dict[str, Any]] = []
    fixes: list[str] = []
    for client in CLIENTS.values():
        file = ClientFile(client, machine)
        try:
            servers = file.servers()
        except ClientFileError as error:
            rows.append({"client": client.key, "file": str(file.path), "problem": str(error)})
            fixes.append(f"{client.title} can't read its file either; correct it")
            continue
        for name, entry in servers.items():
            if not is_ours(entry):
                continue
            command = str(entry.get("command"))
            row = {"client": client.key, "file": str(file.path), "name": name, "command": command}
            if shutil.which(command) is None:
                row["problem"] = f"{client.title} starts {one_line(command)}, which does not exist"
                fixes.append(f"`kallyai-mcp install {client.key}{'' if name == 'kallyai' else f' --name {name}'}`")
            rows.append(row)
    problems = [row["problem"] for row in rows if "problem" in row]
    working = [f"{CLIENTS[row['client']].title} ({row['name']})" for row in rows if "problem" not in row]
    message = "; ".join([*problems, *([", ".join(working)] if working else [])])
    details = {"clients": rows}
    if problems:
        return Finding("clients", "bad", message, "; ".join(fixes), details)
    return Finding(
        "clients", "ok", message or "none has an entry; `kallyai-mcp install CLIENT` adds one", details=details
    )
