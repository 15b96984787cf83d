"""The checks of `kallyai-mcp doctor` on the ledger and its calls: none changes anything."""

import tempfile
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase, exists
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.cli.clients.known import Machine
from kallyai_mcp.cli.doctor_checks import Finding
from kallyai_mcp.cli.errors import SetupError
from kallyai_mcp.cli.ledger import POSTGRES, check_shared_database, create_ledger, open_database
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.text.plain import duration

STUCK_SECONDS = 900.0
"""How long a call may be in progress before it counts as stuck: much longer than the API allows."""

_SERVER = (
    "SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync, "
    "current_setting('synchronous_commit') AS synchronous_commit"
)

_LOCAL_FOLDER = "make it writable, or set KALLYAI_HOME to a folder on a local disk"
_NO_CALLS = "until then no call is placed"


def ledger(settings: Settings, machine: Machine | None = None) -> Finding:
    """Whether the ledger can be written and locked; the shared database; and whether a dead worker left calls."""
    machine = machine or Machine.this()
    path = settings.home / "ledger.db"
    name = str(path) if settings.database_url is None else POSTGRES
    details: dict[str, Any] = {"place": name}
    if settings.database_url is None and machine.shows_private_copy(settings.home):
        message = f"{settings.home} is a private copy that only this program sees, so clients don't share its ledger"
        return Finding("ledger", "bad", message, "set KALLYAI_HOME to a folder outside of AppData", details)
    try:
        check_shared_database(settings)
        if settings.database_url is None:
            _try_folder(settings.home)
        has_ledger = settings.database_url is not None or exists(path)
        if has_ledger:
            details |= anyio.run(_examine, settings)
    except SetupError as error:
        return Finding("ledger", "bad", error.message, "correct the settings; until then no server starts", details)
    except KallyAIError as error:
        fix = _LOCAL_FOLDER if settings.database_url is None else "see that it runs and that the URL is right"
        return Finding("ledger", "bad", str(error), f"{fix}; {_NO_CALLS}", details)
    except OSError as error:
        message = f"{name} can't be written: {error.strerror or type(error).__name__}"
        fix = f"make its folder writable, or set KALLYAI_HOME to another; {_NO_CALLS}"
        return Finding("ledger", "bad", message, fix, details)
    message = f"{name} can be written" if has_ledger else f"{name} can be created; it does not exist yet"
    if "version" in details:
        message += ", version {version}, fsync {fsync}, synchronous_commit {synchronous_commit}".format_map(details)
    if details.get("abandoned_calls"):
        message += "; it has calls of a worker that has ended, which the next server with their account settles"
    if settings.database_url is None and (kind := machine.network_type(settings.home)) is not None:
        message += f"; it is in a network folder ({kind}), where locks of two machines may not hold"
        return Finding("ledger", "warning", message, "set KALLYAI_HOME to a folder on a local disk", details)
    return Finding("ledger", "ok", message, details=details)


def _try_folder(folder: Path) -> None:
    """Try a ledger of no use in `folder`, or where it would be created.

    Raises:
        OSError: The folder is not writable.
        LedgerUnavailableError: It has no locks that work, or can't share files in memory.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if exists(path))

    async def use(path: Path) -> None:
        async with aclosing(SqliteDatabase(path)) as database:
            await database.take_lease()
            await database.write(lambda _: None)

    with tempfile.TemporaryDirectory(dir=existing, prefix="kallyai-doctor-", ignore_cleanup_errors=True) as place:
        anyio.run(use, Path(place) / "ledger.db")


async def _examine(settings: Settings) -> dict[str, Any]:
    async with aclosing(open_database(settings)) as database:
        server: dict[str, Any] = {}
        if settings.database_url is not None:
            [server] = await database.write(lambda tx: tx.rows(_SERVER))
        opened = create_ledger(database, settings)
        await opened.check()
        return server | {"abandoned_calls": await opened.has_abandoned(None)}


def stuck_calls(settings: Settings, tokens: Any) -> Finding:
    """Calls with an unknown outcome, or in progress for too long.

    Args:
        settings: Say where the ledger is.
        tokens: The account's `Tokens`; None when nobody is signed in.
    """
    if tokens is None:
        return Finding("stuck_calls", "skipped", "not checked, as nobody is signed in")

    async def ask() -> list[CallRecord]:
        async with aclosing(open_database(settings)) as database:
            return await create_ledger(database, settings).list_unsettled(AccountKey(settings.api_url, tokens.account))

    try:
        records = anyio.run(ask)
    except KallyAIError:
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
