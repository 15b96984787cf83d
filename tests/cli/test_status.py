"""`status`: what it prints about the account, the calls, and the audit trail."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio.to_thread
import pytest

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.api.models import Submission, TokenGrant
from kallyai_mcp.auth.file_store import FileStore
from kallyai_mcp.auth.session import StaticTokens
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.calls.policy import CallPolicy, Consent, RiskFlag
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.cli.status import bar
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from tests.calls.ledgers import kept_record
from tests.cli.machine import run_in_process
from tests.fake_service import fake_service
from tests.processes import free_port
from tests.sandbox.sandbox_app import sandbox_app


@pytest.fixture
def app() -> Iterator[SandboxApp]:
    """A sandbox on the real clock, because the commands have no other; its calls take no time."""
    with sandbox_app(speed=100_000) as app:
        yield app


def sign_in(home: Path, url: str, app: SandboxApp, account: str = "acct-personal") -> Tokens:
    grant = TokenGrant.model_validate(app.state.sandbox.issue_tokens(account))
    tokens = Tokens.from_grant(grant, time.time())
    FileStore(home, url).save(tokens)
    return tokens


async def status(
    home: Path, url: str, *arguments: str, charset: str = "utf-8", **settings: str
) -> "subprocess.CompletedProcess[str]":
    return await anyio.to_thread.run_sync(
        lambda: run_in_process(home, "status", *arguments, charset=charset, API_URL=url, **settings)
    )


def submission(number: str, name: str | None = None) -> Submission:
    return Submission(
        task_category="general", task_description="Ask for the hours", respondent_phone=number, business_name=name
    )


def record(account: AccountKey, state: CallState, number: str) -> CallRecord:
    return CallRecord(
        tracking_id=f"t-{state.value}",
        account=account,
        fingerprint=state.value,
        submission=submission(number, "Italian Bistro"),
        timezone="UTC",
        worker="0000beef",
        state=state,
        placed_at=datetime.now(UTC) - timedelta(minutes=2),
    )


async def test_it_shows_the_quota_as_bars_the_unsettled_calls_and_the_last_five(
    tmp_path: Path, app: SandboxApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    async with running(app) as url:
        tokens = sign_in(tmp_path, url, app)
        api = KallyAI(url, tokens=StaticTokens(tokens.access_token.get_secret_value()), user_agent="tests")
        for _ in range(6):
            await api.create_call(submission("+12025550100", "Cafe"), timezone="UTC")
        for state in (CallState.SENT, CallState.UNKNOWN):
            sample = record(AccountKey(url, tokens.account), state, "+14155551234")
            await kept_record(tmp_path / "ledger.db", sample)
        shown = await status(tmp_path, url)
        plain = await status(tmp_path, url, charset="ascii")
        as_json = await status(tmp_path, url, "--json")

    lines = shown.stdout.splitlines()
    assert shown.returncode == 0, shown.stderr
    assert lines[1].startswith("Signed in as personal@sandbox.test; kept in")
    (minutes,) = (line for line in lines if line.startswith("  Minutes"))
    assert 0 < minutes.count("█") < 40
    assert minutes.count("█") + minutes.count("░") == 40
    (sent,) = (line for line in lines if "t-sent" in line)
    assert "  Call in progress  Italian Bistro, +1 415-555-1234  t-sent     2 min" in sent
    (unknown,) = (line for line in lines if "t-unknown" in line)
    assert unknown.index("Outcome unknown") == sent.index("Call in progress")
    *last, note = lines[lines.index("Last calls:") + 1 :]
    assert len(last) == 5
    assert note.startswith("  * Whether it booked something: ")
    assert all("Answered*  Cafe, +1 202-555-0100" in line and len(line) <= 100 for line in last)
    assert plain.stdout.isascii()
    assert "[####" in plain.stdout

    document = json.loads(as_json.stdout)
    assert document["signed_in"]["who"] == "personal@sandbox.test"
    assert document["signed_in"]["renews"] is True
    assert datetime.fromisoformat(document["signed_in"]["expires_at"]) > datetime.now(UTC)
    assert document["quota"]["minutes_allocated"] == 210
    assert {row["tracking_id"] for row in document["in_progress"]} == {"t-sent", "t-unknown"}
    assert len(document["calls"]) == 5
    assert document["error"] is None
    assert tokens.access_token.get_secret_value() not in shown.stdout + as_json.stdout


async def test_a_narrow_console_gets_shorter_bars_and_lines(
    tmp_path: Path, app: SandboxApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "44")
    async with running(app) as url:
        tokens = sign_in(tmp_path, url, app)
        sample = record(AccountKey(url, tokens.account), CallState.SENT, "+14155551234")
        await kept_record(tmp_path / "ledger.db", sample)
        done = await status(tmp_path, url)

    (minutes,) = (line for line in done.stdout.splitlines() if line.startswith("  Minutes"))
    (sent,) = (line for line in done.stdout.splitlines() if "t-sent" in line)
    assert len(minutes) <= 44
    assert sent == "    t-sent"
    assert re.search(r"\n    Italian Bistro, \+1 415-555-1234  2 min.*\n    t-sent\n", done.stdout)
    assert "Last calls: none" in done.stdout


async def test_it_fits_every_console_and_a_pipe_gets_all_of_it(
    tmp_path: Path, app: SandboxApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[int, list[str]] = {}
    async with running(app) as url:
        token = sign_in(tmp_path, url, app).access_token.get_secret_value()
        api = KallyAI(url, tokens=StaticTokens(token), user_agent="tests")
        ids = []
        for number, name in (("+12025550100", "Cafe"), ("+12025550104", "The Italian Bistro of Ada Lovelace")):
            call = await api.create_call(submission(number, name), timezone="UTC")
            ids.append(call.call_id)
        for columns in (60, 80, 120, 200, 0):
            if columns:
                monkeypatch.setenv("COLUMNS", str(columns))
            else:
                monkeypatch.delenv("COLUMNS")
            shown[columns] = (await status(tmp_path, url)).stdout.splitlines()

    for columns, lines in shown.items():
        assert all(len(line) <= (columns or 400) or " " not in line.strip() for line in lines)
        assert all(any(id_ in line.split() for line in lines) for id_ in ids)
        answered, missed = (next(line for line in lines if word in line) for word in ("Answered", "Not reached"))
        assert answered.index("Cafe") == missed.index("The Italian")
    assert [len(lines) for lines in shown.values()] == sorted((len(lines) for lines in shown.values()), reverse=True)
    assert "…" not in "".join(shown[0])
    assert "\x1b" not in "".join(shown[0])


async def test_the_audit_trail_shows_who_asked_and_what_was_refused(tmp_path: Path, app: SandboxApp) -> None:
    async with running(app) as url:
        empty = await status(tmp_path, url, "--audit")
        account = AccountKey(url, sign_in(tmp_path, url, app).account)
        none_yet = await status(tmp_path, url, "--audit")
        asked = Consent("claude-code 2.1", "form", (RiskFlag.URGENT,))
        await kept_record(tmp_path / "ledger.db", record(account, CallState.RESERVED, "+14155551234"), consent=asked)
        refused = record(account, CallState.UNKNOWN, "+14155559999")
        with pytest.raises(PolicyError, match="KALLYAI_DENY_NUMBERS"):
            await kept_record(tmp_path / "ledger.db", refused, policy=CallPolicy(denied=("+14155559999",)))
        shown = await status(tmp_path, url, "--audit")
        as_json = await status(tmp_path, url, "--audit", "--json")

    assert empty.returncode == 1
    assert "Not signed in" in empty.stderr
    assert none_yet.stdout == "The audit trail is empty: no call was asked for.\n"
    first, second = shown.stdout.splitlines()
    assert first.endswith("+14155559999      refused: KALLYAI_DENY_NUMBERS")
    assert "+14155551234      placed  asked by claude-code 2.1  consent: the user said yes  risk: " in second
    assert second.endswith("  t-reserved")
    newest, oldest = json.loads(as_json.stdout)["audit"]
    assert newest["outcome"] == "refused:KALLYAI_DENY_NUMBERS"
    assert newest["tracking_id"] is None
    assert oldest["risk_flags"] == ["urgent"]


def test_what_was_done_on_the_embedded_sandbox_can_be_read(tmp_path: Path) -> None:
    task = ("+12025550103", "Ask for the hours", "--yes")
    placed = run_in_process(tmp_path, "call", *task, "--sandbox")
    audit = run_in_process(tmp_path, "status", "--audit", "--sandbox")
    shown = run_in_process(tmp_path, "status", "--sandbox")
    by_setting = run_in_process(tmp_path, "status", "--json", SANDBOX="1")
    elsewhere = run_in_process(tmp_path, "status", "--audit")

    assert placed.returncode == 3, placed.stderr
    assert "  placed  asked by kallyai-mcp call  " in audit.stdout
    assert shown.stdout.startswith("KallyAI: the embedded sandbox, which calls nobody\nSigned in")
    assert "Not reached: busy  +1 202-555-0103" in shown.stdout
    assert "Access token" not in shown.stdout
    assert json.loads(by_setting.stdout)["calls"][0]["status"] == "busy"
    assert elsewhere.returncode == 1


async def test_what_this_machine_knows_is_printed_also_without_the_service(tmp_path: Path, app: SandboxApp) -> None:
    async with fake_service(lambda _: (500, {"error": {"code": "oops", "correlation_id": "c-1"}})) as url:
        sign_in(tmp_path, url, app)
        shown = await status(tmp_path, url)
        as_json = await status(tmp_path, url, "--json")

    assert shown.returncode == as_json.returncode == 1
    assert "Signed in as personal@sandbox.test" in shown.stdout
    assert "In progress: none" in shown.stdout
    assert shown.stderr.startswith("Error: ")
    assert len(shown.stderr.splitlines()) == 1
    document = json.loads(as_json.stdout)
    assert document["error"]["code"] == "oops"
    assert document["in_progress"] == []
    assert document["quota"] is None
    assert document["calls"] is None


async def test_a_ledger_that_can_not_be_read_does_not_hide_the_rest(tmp_path: Path, app: SandboxApp) -> None:
    (tmp_path / "ledger.db").mkdir()
    unreachable = f"postgresql://127.0.0.1:{free_port()}/calls"
    async with running(app) as url:
        sign_in(tmp_path, url, app)
        shown = await status(tmp_path, url)
        shared = await status(tmp_path, url, DATABASE_URL=unreachable)

    for done in (shown, shared):
        assert done.returncode == 1
        assert "165 of 210 minutes" in done.stdout
        assert "In progress" not in done.stdout
        assert "Last calls: none" in done.stdout
    assert f"The ledger {tmp_path / 'ledger.db'} can't be used" in shown.stderr
    assert "The ledger's database can't be used" in shared.stderr


@pytest.mark.parametrize(("left", "says"), [(1, "That is little."), (0, "Calls are refused until more is available.")])
async def test_little_quota_is_said_without_the_name_of_a_tool(
    tmp_path: Path, app: SandboxApp, left: int, says: str
) -> None:
    statistics = {"minutes_remaining": left, "minutes_allocated": 30}
    answers = {"/v1/users/me/statistics": (200, statistics), "/v1/calls": (200, {"calls": []})}
    async with fake_service(lambda request: answers.get(request.url.path, (500, {}))) as url:
        sign_in(tmp_path, url, app)
        done = await status(tmp_path, url)

    assert says in done.stdout
    assert "get_" not in done.stdout


async def test_a_subscription_that_can_not_be_read_is_left_out(tmp_path: Path, app: SandboxApp) -> None:
    answers = {"/v1/users/me/statistics": (200, {"minutes_remaining": 7}), "/v1/calls": (200, {"calls": []})}
    async with fake_service(lambda request: answers.get(request.url.path, (500, {}))) as url:
        sign_in(tmp_path, url, app)
        done = await status(tmp_path, url)

    assert done.returncode == 0
    assert "7 minutes left" in done.stdout


def test_nobody_signed_in_is_null_for_as_json(tmp_path: Path) -> None:
    done = run_in_process(tmp_path, "status", "--json", API_URL="http://127.0.0.1:9")

    assert done.returncode == 1
    assert json.loads(done.stdout)["signed_in"] is None
    assert json.loads(done.stdout)["error"]["code"] == "not_signed_in"


@pytest.mark.parametrize(
    ("share", "full"), [(0, 0), (0.001, 1), (0.5, 5), (0.999, 9), (1, 10)], ids=lambda value: str(value)
)
def test_only_0_is_an_empty_bar_and_only_1_a_full_one(share: float, full: int) -> None:
    assert bar(share, 10) == f"[{'█' * full}{'░' * (10 - full)}]"
