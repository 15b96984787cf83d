"""What list_calls shows when the ledger can't be read."""

from pathlib import Path

from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, open_agent, settings_in
from tests.sandbox.manual_clock import ManualClock


def spoil(home: Path) -> None:
    """Replace the ledger's file by one that is no database."""
    for file in filter(Path.is_file, home.glob("ledger.db*")):
        file.unlink()
    (home / "ledger.db").write_text("Not a database, and too long to be taken for an empty one. " * 20)


async def test_a_list_without_the_ledger_says_what_may_be_missing(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    """With PostgreSQL, `tests/transports/test_database_failures.py` shows the same."""
    async with open_agent(settings_in(tmp_path), mode="auto", clock=clock, app=app) as agent:
        await agent.use("make_call", BISTRO)
        spoil(tmp_path)
        listed = await agent.use("list_calls")

    assert not listed.is_error
    assert listed.text.startswith("This program's record of calls can't be read now")
    assert "  answered*  Italian Bistro" in listed.text
