"""The procedures of docs/operating.md: a backup, a restore, and what is watched."""

import json
import os
import re
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp import telemetry
from kallyai_mcp.calls.ledger import postgres
from kallyai_mcp.testing import KallyAISandbox
from tests.cli.machine import invoke
from tests.docs.pages import fenced, text_of
from tests.postgres_server import PostgresDatabases
from tests.processes import COMMAND

SHELL, BACK_UP, RESTORE, COPY = fenced("docs/operating.md", "sh")
NUMBER = "+12025550100"
BEFORE, AFTER = "Ask for the hours", "Ask for the menu"
LATER, NEW = "Ask for a table", "Ask for wine"
IN_DAYS = (datetime.now(UTC) + timedelta(days=3)).replace(hour=17)

pytestmark = pytest.mark.skipif(
    shutil.which("bash") is None or shutil.which("pg_dump") is None,
    reason="bash and pg_dump are needed (Debian: apt-get install postgresql-client)",
)


class Machine:
    """A machine with a server's settings, as its operator has them in a shell."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.home = Path(settings["KALLYAI_HOME"])
        self.settings: dict[str, str | None] = dict(settings)
        program = folder / "bin" / "kallyai-mcp"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {" ".join(COMMAND[1:])} "$@"\n')
        program.chmod(0o755)

    def shell(self, lines: str) -> str:
        """Run lines of the page; returns what they print."""
        given = {name: value for name, value in self.settings.items() if value is not None}
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            [shutil.which("bash") or "", "-euo", "pipefail", "-c", lines],
            cwd=self.folder,
            env=os.environ | given | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def call(self, task: str, *options: str, **changes: str) -> dict[str, Any]:
        """The structure of a call that is asked for."""
        words = ("call", NUMBER, task, "--yes", "--json", *options)
        done = invoke(*words, variables={**self.settings, **changes})
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def settings(kallyai_sandbox: KallyAISandbox) -> dict[str, str]:
    return dict(kallyai_sandbox.env)


@pytest.fixture
def on_postgres(
    tmp_path: Path, settings: dict[str, str], postgres: PostgresDatabases
) -> Iterator[Machine]:
    url = postgres.create_database()
    own = {"KALLYAI_DATABASE_URL": url, "KALLYAI_SECRET_KEYS": secrets.token_hex(32)}
    yield Machine(tmp_path, settings | own)
    postgres.drop_database(url)


def lived_on(machine: Machine) -> dict[str, Any]:
    """After the backup, a call is placed that only KallyAI knows then."""
    return machine.call(AFTER)


def check_restored(
    machine: Machine, since: dict[str, Any], kallyai_sandbox: KallyAISandbox
) -> None:
    """The restored ledger places no call while that is switched off, and then none twice."""
    refused = machine.call(NEW, KALLYAI_STOP_CALLS="1")
    known = machine.call(BEFORE)
    again = machine.call(AFTER)
    placed = machine.call(NEW)

    assert (refused["code"], refused["placed"]) == ("call_policy", "no")
    assert known["placed_now"] is False
    assert again["call_id"] == since["call_id"]
    assert placed["status"] == "success"
    assert len(kallyai_sandbox.calls) == 3


@pytest.mark.programs
def test_a_database_is_restored(on_postgres: Machine, kallyai_sandbox: KallyAISandbox) -> None:
    machine = on_postgres
    machine.call(BEFORE)
    machine.call(LATER, "--not-before", IN_DAYS.isoformat())
    machine.shell(BACK_UP)
    since = lived_on(machine)
    scheduled = machine.shell(RESTORE).splitlines()

    assert [row.split("\t")[1:4:2] for row in scheduled] == [["scheduled", NUMBER]]
    check_restored(machine, since, kallyai_sandbox)


@pytest.mark.programs
def test_a_shell_has_the_variables_of_systemd(on_postgres: Machine) -> None:
    """With the page's files in the folder of the test."""
    machine = on_postgres
    machine.call(LATER, "--not-before", IN_DAYS.isoformat())
    settings = {name: value for name, value in machine.settings.items() if value is not None}
    machine.settings.clear()
    (machine.folder / "etc").mkdir()
    (machine.folder / "etc" / "kallyai-mcp.env").write_text(
        "".join(f"{name}='{value}'\n" for name, value in settings.items() if name != "KALLYAI_HOME")
    )
    unit = fenced("docs/hosting.md", "ini")[0]
    lines = SHELL.replace("/opt/kallyai-mcp", str(machine.folder))
    for root in ("/etc/", "/var/"):
        lines = lines.replace(root, f"{machine.folder}{root}")

    assert NUMBER in machine.shell(lines)
    for known in ("/etc/kallyai-mcp.env", "KALLYAI_HOME=/var/lib/kallyai-mcp", "/opt/kallyai-mcp/"):
        assert known in SHELL
        assert known in unit


def test_a_file_is_restored(
    tmp_path: Path, settings: dict[str, str], kallyai_sandbox: KallyAISandbox
) -> None:
    machine = Machine(tmp_path, settings)
    file = machine.home / "ledger.db"
    machine.call(BEFORE)
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(tmp_path / "b")) as copy:
        source.backup(copy)  # as `.backup` of sqlite3
    since = lived_on(machine)
    (tmp_path / "b").replace(file)
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (machine.home / name).unlink(missing_ok=True)

    check_restored(machine, since, kallyai_sandbox)


@pytest.mark.programs
def test_a_file_moves_into_a_database(on_postgres: Machine) -> None:
    database = on_postgres.settings["KALLYAI_DATABASE_URL"]
    on_postgres.settings["KALLYAI_DATABASE_URL"] = None
    placed = on_postgres.call(BEFORE)
    on_postgres.settings["KALLYAI_DATABASE_URL"] = database
    on_postgres.shell(COPY)
    again = on_postgres.call(BEFORE)

    assert (again["call_id"], again["placed_now"]) == (placed["call_id"], False)


def test_the_dashboard_shows_known_metrics() -> None:
    panels = json.loads(text_of("docs/grafana.json"))["panels"]
    queries = " ".join(panel["targets"][0]["expr"] for panel in panels)
    used = set(re.findall(r"\b(?:kallyai|http_client)_[a-z_]+(?=[{[|)\"]|$)", queries))
    listed = re.findall(r"^\| `([a-z._]+)` \| (\w+), (\S+)", telemetry.__doc__ or "", re.MULTILINE)
    known = {name for metric in listed for name in _in_prometheus(*metric)}

    assert len([panel for panel in panels if "description" in panel]) == 8
    assert "__name__" not in queries  # a rate of two metrics is an error
    assert used - {"kallyai_call_state", "kallyai_call_outcome"} <= known


def _in_prometheus(name: str, kind: str, unit: str) -> list[str]:
    """The names that Prometheus has for a metric of OpenTelemetry."""
    plain = name.replace(".", "_")
    match kind:
        case "histogram":
            assert unit == "s"
            return [f"{plain}_seconds_{part}" for part in ("bucket", "count", "sum")]
        case "counter":
            return [f"{plain}_total"]
        case _:
            return [plain]


def test_the_connections_of_a_worker_are_as_stated() -> None:
    most = postgres._CONNECTIONS  # noqa: SLF001 - what the page states
    stated = f"up to {most + 1} connections to PostgreSQL: {most} for transactions"

    assert stated in text_of("docs/operating.md")
