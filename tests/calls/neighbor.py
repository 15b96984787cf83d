"""The next version of this program, for tests: this one with one more migration."""

import re
import shutil
import sys
from pathlib import Path

import kallyai_mcp
from tests.processes import environment
from tests.programs import run_well

PACKAGE = Path(kallyai_mcp.__file__).parent

ADDS = """-- The next version stores more of each call.

ALTER TABLE calls ADD COLUMN next_note TEXT;
CREATE TABLE next_notes (api TEXT NOT NULL, account TEXT NOT NULL, note TEXT NOT NULL);
CREATE INDEX calls_next ON calls (api, account, next_note);
"""
"""What an older program can serve: it does not know the column."""


def make_next_version(folder: Path) -> Path:
    """Copy the package into a folder, as its next version; returns the folder."""
    shutil.copytree(PACKAGE, folder / "kallyai_mcp", ignore=shutil.ignore_patterns("__pycache__"))
    migrations = folder / "kallyai_mcp" / "calls" / "ledger" / "migrations"
    number = len(list(migrations.glob("*.sql"))) + 1
    (migrations / f"{number}.sql").write_text(ADDS, encoding="utf-8")
    return folder


def make_breaking_version(folder: Path) -> Path:
    """Make a next version whose tables no older program can serve; returns the folder."""
    make_next_version(folder)
    schema = folder / "kallyai_mcp" / "calls" / "ledger" / "schema.py"
    text = schema.read_text(encoding="utf-8")
    newest = len(list((schema.parent / "migrations").glob("*.sql")))
    text, changed = re.subn(r"^OLDEST = \d+$", f"OLDEST = {newest}", text, flags=re.MULTILINE)
    assert changed == 1
    schema.write_text(text, encoding="utf-8")
    return folder


def run_version(folder: Path, home: Path, *arguments: str, **settings: str) -> str:
    """Run a command of the version in a folder, which must end well; returns its stdout."""
    variables = environment(home, **settings) | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "kallyai_mcp", *arguments]
    return run_well(command, folder=folder, variables=variables).stdout
