"""The checks of `kallyai-mcp doctor` on this machine: none changes anything or returns a secret."""

import os
import platform
import shutil
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import click

from kallyai_mcp import __version__
from kallyai_mcp.cli.clients.command import is_ours
from kallyai_mcp.cli.clients.errors import ClientFileError
from kallyai_mcp.cli.clients.files import ClientFile
from kallyai_mcp.cli.clients.known import CLIENTS, Machine
from kallyai_mcp.settings import PREFIX, Settings, SettingsError, variable_of
from kallyai_mcp.tools.text.plain import one_line

Verdict = Literal["ok", "warning", "bad", "skipped"]

SECRETS = {"access_token", "client_secret", "secret_keys", "mcp_token", "database_url"}
"""Settings that are only shown as set or not set; the URL of a database may hold a password."""


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        check: The stable name of the check.
        verdict: `ok`; `warning` if it works but may cause trouble; `bad` if something must be fixed; `skipped` if the
            check could not be made, or was not necessary.
        message: One line, for people.
        fix: What to do about a `bad` or a `warning`.
        details: Facts for programs, of JSON types.
    """

    check: str
    verdict: Verdict
    message: str
    fix: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


def skipped(check: str, why: str) -> Finding:
    """The finding of a check that could not be made, or was not necessary."""
    return Finding(check, "skipped", why)


def version() -> Finding:
    """The versions of this program, Python, and the operating system."""
    python, system = platform.python_version(), platform.platform(terse=True)
    details = {"version": __version__, "python": python, "platform": system}
    return Finding("version", "ok", f"kallyai-mcp {__version__}, Python {python}, {system}", details=details)


def settings_and_sources(settings: Settings | SettingsError) -> Finding:
    """Every setting and its source, and the variables that begin like settings but are none."""
    if isinstance(settings, SettingsError):
        return Finding("settings", "bad", str(settings), "set it as it says, or remove it")
    known = {variable_of(each): each.name for each in fields(settings)}
    given = sorted(name for name in os.environ if name.startswith(PREFIX) and os.environ[name].strip())
    table: dict[str, Any] = {}
    for variable, name in known.items():
        value = settings.home if name == "home_override" else getattr(settings, name)
        if name in SECRETS:
            value = "set" if value else None
        value = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
        table[variable] = {"value": value, "source": "environment" if variable in given else "default"}
    unknown = [name for name in given if name not in known]
    message = ", ".join(f"{name}={_shown(table[name]['value'])}" for name in given if name in known)
    message = f"{message} (environment); all others have their defaults" if message else "all have their defaults"
    if unknown:
        names = ", ".join(unknown)
        message += f"; no settings: {names}"
    details = {"settings": table, "unknown": unknown}
    return Finding("settings", "ok", message, details=details)


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else one_line(str(value))


def sandbox() -> Finding:
    """Whether the embedded sandbox is installed."""
    from kallyai_mcp.cli.sandbox import need_sandbox

    try:
        need_sandbox()
    except click.ClickException as error:
        fix = "install it as it says, or remove KALLYAI_SANDBOX"
        return Finding("sandbox", "bad", error.message, fix)
    message = "KALLYAI_SANDBOX is on: calls go to the embedded sandbox, and nobody is called"
    return Finding("sandbox", "ok", message)


def _is_sandbox(entry: dict[str, Any]) -> bool:
    """Whether an entry of this program starts the server with the embedded sandbox."""
    env = entry.get("env")
    return "--sandbox" in entry.get("args", []) or (
        isinstance(env, dict) and str(env.get("KALLYAI_SANDBOX", "0")).lower() in ("1", "true", "yes", "on")
    )


def clients(machine: Machine) -> Finding:
    """Which clients have an entry for this program, and whether the entry's command exists."""
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
            row: dict[str, Any] = {"client": client.key, "file": str(file.path), "name": name, "command": command}
            row["sandbox"] = _is_sandbox(entry)
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
    none = "none has an entry; `kallyai-mcp install CLIENT` adds one"
    return Finding("clients", "ok", message or none, details=details)
