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
from kallyai_mcp.cli.doctor_checks import Finding, skipped
from kallyai_mcp.cli.errors import SetupError, reason_of
from kallyai_mcp.cli.ledger import POSTGRES, check_shared_database, create_ledger, open_database
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.text.plain import duration

STUCK_SECONDS = 900.0
"""After how many seconds in progress a call counts as stuck. No call of KallyAI takes nearly as long."""

_SERVER = (
    "SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync, "
    "current_setting('synchronous_commit') AS synchronous_commit"
)


def ledger(settings: Settings, machine: Machine | None = None) -> Finding:
    """Whether the ledger can be written and locked, and whether it has calls of a worker that has ended.

    The ledger is the user's file, or the shared database. `machine` is None for this machine.
    """
    machine = machine or Machine.this()
    file = settings.home / "ledger.db" if settings.database_url is None else None
    details: dict[str, Any] = {"place": str(file or POSTGRES)}
    if file is not None and machine.shows_private_copy(settings.home):
        message = f"{settings.home} is a private copy that only this program sees, so clients don't share its ledger"
        fix = "set KALLYAI_HOME to a folder outside of AppData"
        return Finding("ledger", "bad", message, fix, details)
    try:
        check_shared_database(settings)
        if file is not None:
            _try_folder(settings.home)
        has_ledger = file is None or exists(file)
        if has_ledger:
            details |= anyio.run(_examine, settings)
    except (SetupError, KallyAIError, OSError) as error:
        return Finding("ledger", "bad", *_problem(error, settings, details["place"]), details)
    message = _state(details, has_ledger=has_ledger)
    if file is not None and (kind := machine.network_type(settings.home)) is not None:
        message += f"; it is in a network folder ({kind}), where locks of two machines may not hold"
        fix = "set KALLYAI_HOME to a folder on a local disk"
        return Finding("ledger", "warning", message, fix, details)
    return Finding("ledger", "ok", message, details=details)


def _problem(error: SetupError | KallyAIError | OSError, settings: Settings, place: str) -> tuple[str, str]:
    """Why the ledger at `place` can't be used, and how to fix that."""
    if isinstance(error, SetupError):
        return error.message, "correct the settings; until then no server starts"
    if isinstance(error, OSError):
        why = reason_of(error)
        message = f"{place} can't be written: {why}"
        fix = "make its folder writable, or set KALLYAI_HOME to another"
    elif settings.database_url is None:
        message = str(error)
        fix = "make it writable, or set KALLYAI_HOME to a folder on a local disk"
    else:
        message = str(error)
        fix = "see that it runs and that the URL is right"
    no_calls = "until then no call is placed"
    return message, f"{fix}; {no_calls}"


def _state(details: dict[str, Any], *, has_ledger: bool) -> str:
    """The message about a ledger that can be used."""
    place = details["place"]
    if not has_ledger:
        return f"{place} can be created; it does not exist yet"
    message = f"{place} can be written"
    if "version" in details:
        server = "{version}, fsync {fsync}, synchronous_commit {synchronous_commit}".format_map(details)
        message += f", version {server}"
    if details["abandoned_calls"]:
        message += "; it has calls of a worker that has ended, which the next server with their account settles"
    return message


def _try_folder(folder: Path) -> None:
    """Try an empty ledger in a temporary folder within `folder`, or within the nearest parent that exists.

    Raises:
        OSError: The folder is not writable.
        LedgerUnavailableError: File locks or shared memory don't work in the folder.
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
    """Whether there are calls with an unknown outcome, or in progress for too long.

    Args:
        settings: The settings of this process.
        tokens: The account's `Tokens`; None when nobody is signed in.
    """
    if tokens is None:
        return skipped("stuck_calls", "not checked, as nobody is signed in")

    async def ask() -> list[CallRecord]:
        async with aclosing(open_database(settings)) as database:
            return await create_ledger(database, settings).list_unsettled(AccountKey(settings.api_url, tokens.account))

    try:
        records = anyio.run(ask)
    except KallyAIError:
        return skipped("stuck_calls", "not checked, as the ledger can't be read")
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
        active = len(records)
        message = f"none; {active} in progress"
        return Finding("stuck_calls", "ok", message, details=details)
    rows = []
    in_progress, unknown = "in progress", "unknown"
    for each in stuck:
        state = unknown if each.state is CallState.UNKNOWN else in_progress
        age = duration(each.elapsed(now))
        placed = f"placed {age} ago"
        rows.append(f"{each.tracking_id} ({state}, {placed})")
    fix = "let an agent use get_call with that id, which looks the call up again; don't place the call again before"
    return Finding("stuck_calls", "bad", ", ".join(rows), fix, details)
