"""`kallyai-mcp status`: the account, its quota and its calls; and the audit trail."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.api.models import Call, Statistics, Subscription
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.calls.records import AuditEntry, CallRecord
from kallyai_mcp.cli.call_view import call_rows
from kallyai_mcp.cli.connection import Connection, run_with_connection
from kallyai_mcp.cli.console import say, width
from kallyai_mcp.cli.local_timezone import local_timezone
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.call_results import call_answer
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.text.account import quota
from kallyai_mcp.tools.text.plain import duration, number, one_line, zone_of
from kallyai_mcp.tools.text.times import when

LAST_CALLS = 5
AUDIT_ENTRIES = 100

_NOBODY = "Not signed in. `kallyai-mcp login` signs in through the browser."


def show_status(settings: Settings, *, as_json: bool) -> None:
    """Print who is signed in and until when, what is left of the quota, the calls in progress, and the last calls.

    What this machine knows is printed even when KallyAI can't be reached.

    Args:
        settings: The settings of this process.
        as_json: Print one JSON object: `api_url`, `signed_in` (`who`, `kept_in`, `expires_at`, `renews`) or null,
            `in_progress`, `quota`, `subscription`, `calls`, and `error` (`code`, `message`) if something failed.

    Raises:
        click.ClickException: Nobody is signed in, or KallyAI can't be reached.
    """

    async def gather(connection: Connection) -> "_Status":
        status = _Status(connection.settings.api_url)
        try:
            await status.gather(connection)
        except KallyAIError as error:
            status.error = error
        return status

    status = run_with_connection(settings, gather)
    if as_json:
        say(json.dumps(status.document(), indent=2))
        if status.error is not None:
            raise SystemExit(1)
        return
    for line in status.lines():
        say(line)
    if status.error is not None:
        raise click.ClickException(str(status.error))


def show_audit(settings: Settings, *, as_json: bool) -> None:
    """Print the account's newest entries of the audit trail, the newest first, with unredacted phone numbers.

    Args:
        settings: The settings of this process.
        as_json: Print one JSON object: `audit`, a list with the fields of `AuditEntry`.

    Raises:
        click.ClickException: Nobody is signed in, or the ledger can't be read.
    """

    async def read(connection: Connection) -> list[AuditEntry]:
        return await connection.ledger().audit(await connection.account_key(), AUDIT_ENTRIES)

    entries = run_with_connection(settings, read)
    if as_json:
        say(json.dumps({"audit": [_audit_document(entry) for entry in entries]}, indent=2))
        return
    if not entries:
        say("The audit trail is empty: no call was asked for.")
    now, zone = datetime.now(UTC), zone_of(local_timezone())
    for entry in entries:
        parts = [f"{when(entry.at, zone, now):<12}", f"{entry.number:<16}", one_line(entry.outcome)]
        parts += [f"asked by {one_line(entry.asked_by)}"] if entry.asked_by else []
        parts += [f"consent: {one_line(entry.how)}"] if entry.how else []
        parts += [f"risk: {', '.join(map(one_line, entry.risk_flags))}"] if entry.risk_flags else []
        parts += [entry.tracking_id] if entry.tracking_id else []
        say("  ".join(parts))


class _Status:
    """What is known, in the order in which it is printed."""

    def __init__(self, api_url: str) -> None:
        self.api_url = api_url
        self.tokens: Tokens | None = None
        self.kept_in: str | None = None
        self.unsettled: Sequence[CallRecord] | None = None
        self.statistics: Statistics | None = None
        self.subscription: Subscription | None = None
        self.calls: Sequence[Call] | None = None
        self.records: Mapping[str, CallRecord] = {}
        self.error: KallyAIError | None = None

    async def gather(self, connection: Connection) -> None:
        """Read this machine's state, then KallyAI's.

        Raises:
            KallyAIError: The rest is not known.
        """
        self.tokens = await connection.credentials.tokens.current()
        if self.tokens is None:
            raise NotSignedInError(_NOBODY)
        self.kept_in = connection.credentials.describe_store()
        ledger_error = await self._read_ledger(connection)
        api = connection.api()
        self.statistics = await api.get_statistics()
        try:
            self.subscription = await api.get_subscription()
        except KallyAIError:
            self.subscription = None  # the statistics have nearly as much
        self.calls = (await api.list_calls(limit=LAST_CALLS)).calls[:LAST_CALLS]
        if ledger_error is not None:
            raise ledger_error
        account = await connection.account_key()
        self.records = await connection.ledger().find_ended(account, [call.call_id for call in self.calls])

    async def _read_ledger(self, connection: Connection) -> KallyAIError | None:
        try:
            self.unsettled = await connection.ledger().list_unsettled(await connection.account_key())
        except KallyAIError as error:
            return error
        return None

    def lines(self) -> list[str]:
        """Everything, in lines that fit the console."""
        now, zone_name, columns = datetime.now(UTC), local_timezone(), width()
        lines = [f"KallyAI: {self.api_url}"]
        if self.tokens is not None:
            who = f" as {one_line(self.tokens.who)}" if self.tokens.who else ""
            lines += [f"Signed in{who}; kept in {self.kept_in}", *_expiry(self.tokens, zone_name, now)]
        if self.statistics is not None:
            lines += [quota(self.statistics, self.subscription, now=now)]
            lines += _bars(self.statistics, columns)
        if self.unsettled is not None:
            lines.append("In progress: none" if not self.unsettled else "In progress, or with an unknown outcome:")
            unsettled = [call_answer(CallView.of_record(record), now) for record in self.unsettled]
            lines += call_rows(unsettled, timezone=zone_name, now=now, indent="  ")
        if self.calls is not None:
            lines.append("Last calls: none" if not self.calls else "Last calls:")
            views = [
                CallView.of_listed(call, self.records.get(call.call_id), timezone=zone_name) for call in self.calls
            ]
            lines += call_rows([call_answer(view, now) for view in views], timezone=zone_name, now=now, indent="  ")
        return lines

    def document(self) -> dict[str, Any]:
        """Everything, as JSON types; null for what is not known."""
        return {
            "api_url": self.api_url,
            "signed_in": self.tokens
            and {
                "who": self.tokens.who,
                "kept_in": self.kept_in,
                "expires_at": end.isoformat(timespec="seconds") if (end := _end_of(self.tokens)) else None,
                "renews": self.tokens.refresh_token is not None,
            },
            "in_progress": self.unsettled and [_unsettled_document(record) for record in self.unsettled],
            "quota": self.statistics and self.statistics.model_dump(mode="json"),
            "subscription": self.subscription and self.subscription.model_dump(mode="json"),
            "calls": None if self.calls is None else [call.model_dump(mode="json") for call in self.calls],
            "error": self.error and {"code": self.error.code, "message": str(self.error)},
        }


def bar(share: float, cells: int) -> str:
    """`share` (0 to 1) as a bar of `cells` cells; only 0 is drawn as empty, and only 1 as full."""
    full = min(max(round(share * cells), 1 if share > 0 else 0), cells - 1 if share < 1 else cells)
    return f"[{'█' * full}{'░' * (cells - full)}]"


def _bars(statistics: Statistics, columns: int) -> list[str]:
    kinds = (
        ("Minutes", statistics.minutes_remaining, statistics.minutes_allocated),
        ("Calls", statistics.calls_remaining, statistics.calls_allocated),
        ("Credits", statistics.credits_remaining, statistics.credits_allocated),
    )
    return [
        f"  {kind:<8} {bar(min(remaining / allocated, 1), min(40, columns - 32))} {number(remaining)} left"
        for kind, remaining, allocated in kinds
        if remaining is not None and allocated
    ]


def _end_of(tokens: Tokens) -> datetime | None:
    if tokens.expires_at >= datetime.max.replace(tzinfo=UTC).timestamp():
        return None
    return datetime.fromtimestamp(tokens.expires_at, UTC)


def _expiry(tokens: Tokens, zone_name: str, now: datetime) -> list[str]:
    end = _end_of(tokens)
    if end is None:
        return []
    left = f"for {duration((end - now).total_seconds())}" if end > now else "no longer"
    renews = ", then renews itself" if tokens.refresh_token else ""
    return [f"Access token: good {left}, until {end.astimezone(zone_of(zone_name)):%Y-%m-%d %H:%M %Z}{renews}"]


def _unsettled_document(record: CallRecord) -> dict[str, Any]:
    return {
        "tracking_id": record.tracking_id,
        "call_id": record.call_id,
        "state": record.state.value,
        "placed_at": record.placed_at.isoformat(timespec="seconds"),
        "respondent_phone": record.submission.respondent_phone,
        "business_name": record.submission.business_name,
    }


def _audit_document(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": entry.at.isoformat(timespec="seconds"),
        "number": entry.number,
        "outcome": entry.outcome,
        "tracking_id": entry.tracking_id,
        "asked_by": entry.asked_by,
        "how": entry.how,
        "risk_flags": list(entry.risk_flags),
    }
