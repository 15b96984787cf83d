"""`kallyai-mcp status`: the account, its quota and its calls; and the audit trail."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.api.models import Call, Statistics, Subscription
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.policy import RiskFlag
from kallyai_mcp.calls.records import AuditEntry, CallRecord
from kallyai_mcp.cli.call_view import TerminalReader, call_rows
from kallyai_mcp.cli.connection import Connection, run_with_connection
from kallyai_mcp.cli.console import has_edge, say, width, wrapped
from kallyai_mcp.cli.embedded_sandbox import EmbeddedSandbox
from kallyai_mcp.cli.list_view import list_rows
from kallyai_mcp.cli.local_timezone import local_timezone
from kallyai_mcp.cli.terminal import connect
from kallyai_mcp.cli.words import Words
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.call_results import call_answer
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.list_results import list_state
from kallyai_mcp.tools.text.account import quota
from kallyai_mcp.tools.text.consent import reasons
from kallyai_mcp.tools.text.plain import duration, number, one_line, zone_of
from kallyai_mcp.tools.text.words import Words as FormWords

LAST_CALLS = 5
AUDIT_ENTRIES = 100


def show_status(settings: Settings, *, sandbox: bool, as_json: bool) -> None:
    """Print who is signed in and until when, what is left of the quota, the calls in progress, and the last calls.

    If KallyAI can't be reached, the facts that are stored on this machine are printed.

    Args:
        settings: The settings of this process.
        sandbox: Use the embedded sandbox.
        as_json: Print one JSON object: `api_url`, `signed_in` (`who`, `kept_in`, `expires_at`, `renews`) or null,
            `in_progress`, `lists` (of candidates: those that go on or wait for the user), `quota`, `subscription`,
            `calls`, and `error` (`code`, `message`) if something failed.

    Raises:
        click.ClickException: Nobody is signed in, or KallyAI can't be reached.
    """

    async def gather(connection: Connection) -> "_Status":
        status = _Status(connection)
        try:
            await status.gather(connection)
        except KallyAIError as error:
            status.error = error
        return status

    status = run_with_connection(connect(settings, sandbox=sandbox), gather)
    if as_json:
        say(json.dumps(status.document(), indent=2))
        if status.error is not None:
            raise SystemExit(1)
        return
    for line in status.lines():
        say(wrapped(line) if has_edge() and not line.startswith(" ") else line)
    if status.error is not None:
        raise click.ClickException(str(status.error))


def show_audit(settings: Settings, *, sandbox: bool, as_json: bool) -> None:
    """Print the account's newest entries of the audit trail, the newest first, with unredacted phone numbers.

    Args:
        settings: The settings of this process.
        sandbox: Use the embedded sandbox.
        as_json: Print one JSON object: `audit`, a list with the fields of `AuditEntry`.

    Raises:
        click.ClickException: Nobody is signed in, or the ledger can't be read.
    """

    async def read(connection: Connection) -> list[AuditEntry]:
        return await connection.ledger().audit(await connection.account_key(), AUDIT_ENTRIES)

    entries = run_with_connection(connect(settings, sandbox=sandbox), read)
    if as_json:
        audit = [asdict(entry) | {"at": entry.at.isoformat(timespec="seconds")} for entry in entries]
        say(json.dumps({"audit": audit}, indent=2))
        return
    if not entries:
        say("The audit trail is empty: no call was asked for.")
    reader = TerminalReader(Words(), local_timezone(), datetime.now(UTC))
    for entry in entries:
        parts = [f"{reader.when(entry.at):<12}", f"{entry.number:<16}", _audited(one_line(entry.outcome))]
        asked_by = one_line(entry.asked_by or "")
        why = reasons([RiskFlag(flag) for flag in entry.risk_flags if flag in [*RiskFlag]], FormWords())
        parts += [f"asked by {asked_by}"] if asked_by else []
        parts += [_consent(entry.how)] if entry.how else []
        parts += [f"risk: {why}"] if why else []
        parts += [entry.tracking_id] if entry.tracking_id else []
        say("  ".join(parts))


def _audited(outcome: str) -> str:
    match outcome.partition(":"):
        case ("placed", _, _):
            return "placed"
        case ("scheduled", _, _):
            return "scheduled"
        case (_, _, setting):
            return f"refused: {setting.strip()}"


def _consent(how: str) -> str:
    match how:
        case "form":
            return "consent: the user said yes"
        case "confirmation":
            return "consent: the agent passed on a yes"
        case "never_asks":
            return "consent: nobody is asked"
        case _:
            return "consent: not needed"


class _Status:
    """The facts that `status` prints, in the order in which they are printed; None for what is not known."""

    def __init__(self, connection: Connection) -> None:
        self.embedded = connection.sandbox is not None
        self.api_url = EmbeddedSandbox.URL if self.embedded else connection.settings.api_url
        self.tokens: Tokens | None = None
        self.kept_in: str | None = None
        self.unsettled: Sequence[CallRecord] | None = None
        self.lists: Sequence[CallList] = ()
        self.statistics: Statistics | None = None
        self.subscription: Subscription | None = None
        self.calls: Sequence[Call] | None = None
        self.records: Mapping[str, CallRecord] = {}
        self.error: KallyAIError | None = None

    async def gather(self, connection: Connection) -> None:
        """Read the facts of this machine, then those of KallyAI.

        Raises:
            KallyAIError: The other facts can't be read.
        """
        self.tokens = await connection.credentials.tokens.current()
        if self.tokens is None:
            raise NotSignedInError(Words().say("nobody"))
        self.kept_in = None if self.embedded else connection.credentials.describe_store()
        account, ledger_error = await connection.account_key(), None
        try:
            self.unsettled = await connection.ledger().list_unsettled(account)
            self.lists = await connection.ledger().lists.list_unfinished(account)
        except KallyAIError as error:
            ledger_error = error
        api = connection.api()
        self.statistics = await api.get_statistics()
        try:
            self.subscription = await api.get_subscription()
        except KallyAIError:
            self.subscription = None  # the statistics have most of its facts
        self.calls = (await api.list_calls(limit=LAST_CALLS)).calls[:LAST_CALLS]
        if ledger_error is not None:
            raise ledger_error
        self.records = await connection.ledger().find_ended(account, [call.call_id for call in self.calls])

    def lines(self) -> list[str]:
        """The facts as lines that fit the console."""
        reader = TerminalReader(Words(), local_timezone(), datetime.now(UTC), self.embedded)
        now, words = reader.now, reader.words
        lines = [words.say("embedded") if self.embedded else f"KallyAI: {self.api_url}"]
        if self.tokens is not None:
            who = words.say("as", name=one_line(self.tokens.who)) if self.tokens.who else ""
            if self.embedded:
                lines.append(words.say("now_signed_in", who=who))
            else:
                lines.append(words.say("signed_in", who=who, place=self.kept_in))
                lines += _expiry(self.tokens, reader)
        if self.statistics is not None:
            lines.append(quota(self.statistics, self.subscription, now=now, has_tools=False))
            lines += _bars(self.statistics, words)
        if self.unsettled is not None:
            lines.append(words.say("running" if self.unsettled or self.lists else "none_running"))
            lines += list_rows([list_state(found, now) for found in self.lists], reader, "  ")
            of_lists = {record.tracking_id for found in self.lists for record in found.records}
            others = (record for record in self.unsettled if record.tracking_id not in of_lists)
            lines += call_rows([call_answer(CallView.of_record(record), now) for record in others], reader, "  ")
        if self.calls is not None:
            lines.append(words.say("last" if self.calls else "no_last"))
            views = [
                CallView.of_listed(call, self.records.get(call.call_id), timezone=reader.timezone)
                for call in self.calls
            ]
            lines += call_rows([call_answer(view, now) for view in views], reader, "  ")
        return lines

    def document(self) -> dict[str, Any]:
        """The facts as JSON types; null for what is not known."""
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
            "lists": [list_state(found, datetime.now(UTC)).model_dump(mode="json") for found in self.lists],
            "quota": self.statistics and self.statistics.model_dump(mode="json"),
            "subscription": self.subscription and self.subscription.model_dump(mode="json"),
            "calls": None if self.calls is None else [call.model_dump(mode="json") for call in self.calls],
            "error": self.error and {"code": self.error.code, "message": str(self.error)},
        }


def bar(share: float, cells: int) -> str:
    """`share` (0 to 1) as a bar of `cells` cells; only 0 is drawn as empty, and only 1 as full."""
    full = min(max(round(share * cells), 1 if share > 0 else 0), cells - 1 if share < 1 else cells)
    return f"[{'█' * full}{'░' * (cells - full)}]"


def _bars(statistics: Statistics, words: Words) -> list[str]:
    kinds = (
        ("minutes", statistics.minutes_remaining, statistics.minutes_allocated),
        ("calls", statistics.calls_remaining, statistics.calls_allocated),
        ("credits", statistics.credits_remaining, statistics.credits_allocated),
    )
    return [
        f"  {words.say(kind):<8} {bar(min(remaining / allocated, 1), min(40, width() - 32))} "
        f"{words.say('left', left=number(remaining))}"
        for kind, remaining, allocated in kinds
        if remaining is not None and allocated
    ]


def _end_of(tokens: Tokens) -> datetime | None:
    if tokens.expires_at >= datetime.max.replace(tzinfo=UTC).timestamp():
        return None
    return datetime.fromtimestamp(tokens.expires_at, UTC)


def _expiry(tokens: Tokens, reader: TerminalReader) -> list[str]:
    end, words = _end_of(tokens), reader.words
    if end is None:
        return []
    until = f"{end.astimezone(zone_of(reader.timezone)):%Y-%m-%d %H:%M %Z}"
    renews = words.say("renews_itself") if tokens.refresh_token else ""
    if end <= reader.now:
        return [words.say("token_ended", end=until) + renews]
    return [words.say("token_good", left=duration((end - reader.now).total_seconds()), end=until) + renews]


def _unsettled_document(record: CallRecord) -> dict[str, Any]:
    return {
        "tracking_id": record.tracking_id,
        "call_id": record.call_id,
        "state": record.state.value,
        "placed_at": record.placed_at.isoformat(timespec="seconds"),
        "respondent_phone": record.submission.respondent_phone,
        "business_name": record.submission.business_name,
    }
