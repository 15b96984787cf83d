"""What `kallyai-mcp doctor` looks at on this machine: each changes nothing and shows no secret."""

import difflib
import os
import platform
import shutil
import tempfile
import uuid
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
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.settings import Settings, SettingsError
from kallyai_mcp.tools.text.plain import duration, one_line

Verdict = Literal["ok", "bad", "skipped"]

SECRETS = {"access_token", "client_secret", "secret_keys", "mcp_token", "redis_url", "database_url"}
"""Settings that are only shown as set or not set; the URL of a database may hold a password."""

STUCK_SECONDS = 900.0
"""How long a call may be under way before it counts as stuck: much longer than the API lets one take."""


@dataclass(frozen=True)
class Finding:
    """What was found of one thing.

    Attributes:
        check: Which, by a name that stays the same.
        verdict: `ok`; `bad` when something is to be mended; `skipped` when it couldn't be looked at or needn't be.
        said: One line.
        mend: What to do about it, when it is bad.
        details: For programs; JSON types.
    """

    check: str
    verdict: Verdict
    said: str
    mend: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


def version() -> Finding:
    """Which version this is, and what it runs on."""
    python, system = platform.python_version(), platform.platform(terse=True)
    details = {"version": __version__, "python": python, "platform": system}
    return Finding("version", "ok", f"kallyai-mcp {__version__}, Python {python}, {system}", details=details)


def settings_and_their_sources(settings: Settings | SettingsError) -> Finding:
    """Every setting, where it comes from, and variables that look like one with a slip of the pen."""
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
    strange = [name for name in given if name not in known]
    slips = {name: near[0] for name in strange if (near := difflib.get_close_matches(name, known, 1, 0.85))}
    said = ", ".join(f"{name}={_shown(table[name]['value'])}" for name in given if name in known)
    said = f"{said} (environment); all others have their defaults" if said else "all have their defaults"
    details = {"settings": table, "unknown": strange}
    if slips:
        names = " and ".join(f"{wrong} ({right}?)" for wrong, right in slips.items())
        return Finding("settings", "bad", f"{names}: no such setting; {said}", "correct the name", details)
    return Finding(
        "settings", "ok", said + (f"; no settings: {', '.join(strange)}" if strange else ""), details=details
    )


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else one_line(str(value))


def sandbox() -> Finding:
    """Whether the embedded sandbox can be used."""
    from kallyai_mcp.cli.sandbox import need_sandbox

    try:
        need_sandbox()
    except click.ClickException as error:
        return Finding("sandbox", "bad", error.message, "install it as it says, or remove KALLYAI_SANDBOX")
    return Finding("sandbox", "ok", "KALLYAI_SANDBOX is on: calls go to the embedded sandbox, and nobody is rung")


def ledger(settings: Settings) -> Finding:
    """Whether calls can be written down."""
    place = "Redis (KALLYAI_REDIS_URL)" if settings.redis_url else str(settings.home / "ledger.db")
    details = {"place": place}
    try:
        if settings.redis_url is None and not (settings.home / "ledger.db").exists():
            _try_folder(settings.home)
            return Finding("ledger", "ok", f"{place} can be made; there is none yet", details=details)
        anyio.run(_write_nothing, settings)
    except (KallyAIError, ValueError) as error:
        mend = "see that Redis runs and KALLYAI_REDIS_URL is right" if settings.redis_url else "make it writable"
        return Finding("ledger", "bad", str(error), f"{mend}; until then nothing is dialled", details)
    except OSError as error:
        said = f"{place} can't be written: {error.strerror or type(error).__name__}"
        mend = "make its folder writable, or set KALLYAI_HOME to another; until then nothing is dialled"
        return Finding("ledger", "bad", said, mend, details)
    return Finding("ledger", "ok", f"{place} can be written", details=details)


def _try_folder(folder: Path) -> None:
    """Raises `OSError` where nothing can be written in `folder`, or in what it would be made in."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    with tempfile.TemporaryFile(dir=there):
        pass


async def _write_nothing(settings: Settings) -> None:
    opened = Connection(settings).ledger()
    try:
        await opened.leave(f"doctor-{uuid.uuid4()}")  # a write, for an owner that there isn't
    finally:
        await opened.aclose()


def stuck_calls(settings: Settings, tokens: Any) -> Finding:
    """Calls whose outcome is unknown, or that are under way for too long."""
    if tokens is None:
        return Finding("stuck_calls", "skipped", "not looked for, as nobody is signed in")

    async def ask() -> list[Any]:
        opened = Connection(settings).ledger()
        try:
            return await opened.unsettled(AccountKey(settings.api_url, tokens.account))
        finally:
            await opened.aclose()

    try:
        records = anyio.run(ask)
    except (KallyAIError, ValueError):
        return Finding("stuck_calls", "skipped", "not looked for, as the ledger can't be read")
    now = datetime.now(UTC)
    stuck = [each for each in records if each.state is CallState.UNKNOWN or each.elapsed(now) > STUCK_SECONDS]
    details = {
        "under_way": len(records) - len(stuck),
        "stuck": [
            {"tracking_id": each.tracking_id, "state": each.state.value, "placed_at": each.placed_at.isoformat()}
            for each in stuck
        ],
    }
    if not stuck:
        return Finding("stuck_calls", "ok", f"none; {len(records)} under way", details=details)
    rows = ", ".join(
        f"{each.tracking_id} ({'unknown' if each.state is CallState.UNKNOWN else 'under way'}, placed "
        f"{duration(each.elapsed(now))} ago)"
        for each in stuck
    )
    mend = "have an agent ask get_call with that id: it looks the call up once more; don't place it again before"
    return Finding("stuck_calls", "bad", rows, mend, details)


def clients(machine: Machine) -> Finding:
    """Which clients start this program, and whether what they start is there."""
    rows: list[dict[str, Any]] = []
    mends: list[str] = []
    for client in CLIENTS.values():
        file = ClientFile(client, machine)
        try:
            servers = file.servers()
        except ClientFileError as error:
            rows.append({"client": client.key, "file": str(file.path), "problem": str(error)})
            mends.append(f"{client.title} can't read its file either; mend it by hand")
            continue
        for name, entry in servers.items():
            if not is_ours(entry):
                continue
            command = str(entry.get("command"))
            row = {"client": client.key, "file": str(file.path), "name": name, "command": command}
            if shutil.which(command) is None:
                row["problem"] = f"{client.title} starts {one_line(command)}, which is not there"
                mends.append(f"`kallyai-mcp install {client.key}{'' if name == 'kallyai' else f' --name {name}'}`")
            rows.append(row)
    problems = [row["problem"] for row in rows if "problem" in row]
    well = [f"{CLIENTS[row['client']].title} ({row['name']})" for row in rows if "problem" not in row]
    said = "; ".join([*problems, *([", ".join(well)] if well else [])])
    details = {"clients": rows}
    if problems:
        return Finding("clients", "bad", said, "; ".join(mends), details)
    return Finding(
        "clients", "ok", said or "none has an entry; `kallyai-mcp install CLIENT` makes one", details=details
    )
