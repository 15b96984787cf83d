"""`status`: what it prints about the account, the calls, and the audit trail."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio.to_thread
import pytest

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.policy import CallPolicy, Consent, RiskFlag
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from tests.calls.ledgers import kept_record
from tests.cli.machine import run_in_process, sign_in
from tests.fake_service import fake_service
from tests.processes import free_port
from tests.sandbox.sandbox_app import sandbox_app


@pytest.fixture
def app() -> Iterator[SandboxApp]:
    with sandbox_app(speed=100_000) as app:
        yield app


async def status(home: Path, url: str, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return await anyio.to_thread.run_sync(lambda: run_in_process(home, "status", *arguments, API_URL=url, **settings))


def record(account: AccountKey, state: CallState, number: str) -> CallRecord:
    return CallRecord(
        tracking_id=f"t-{state.value}",
        account=account,
        fingerprint=state.value,
        submission=Submission(
            task_category="general",
            task_description="Ask for the hours",
            respondent_phone=number,
            business_name="Italian Bistro",
        ),
        timezone="UTC",
        worker="0000beef",
        state=state,
        placed_at=datetime.now(UTC) - timedelta(minutes=2),
    )


async def test_it_shows_the_account_the_quota_and_the_calls_and_no_token(tmp_path: Path, app: SandboxApp) -> None:
    async with running(app) as url:
        tokens = sign_in(tmp_path, url, app)
        for state in (CallState.SENT, CallState.UNKNOWN):
            sample = record(AccountKey(url, tokens.account), state, "+14155551234")
            await kept_record(tmp_path / "ledger.db", sample)
        shown = await status(tmp_path, url)
        document = json.loads((await status(tmp_path, url, "--json")).stdout)

    first, second, quota, title, *rows = shown.stdout.splitlines()
    assert shown.returncode == 0, shown.stderr
    assert first == f"KallyAI: {url}"
    assert second == "Signed in as personal@sandbox.test"
    assert quota.startswith("27 of 35 calls left (and 165 of 210 minutes).")
    assert title == "Last calls:"
    assert {tuple(row.split("\t")[1:]) for row in rows} == {
        ("in progress", "Italian Bistro", "+1 415-555-1234", "t-sent"),
        ("unknown", "Italian Bistro", "+1 415-555-1234", "t-unknown"),
    }
    assert document["signed_in"] == {"who": "personal@sandbox.test"}
    assert document["quota"]["minutes_allocated"] == 210
    assert {row["tracking_id"] for row in document["calls"]["calls"]} == {"t-sent", "t-unknown"}
    assert document["error"] is None
    for secret in (tokens.access_token, tokens.refresh_token):
        assert secret is not None
        assert secret.get_secret_value() not in shown.stdout + str(document)


async def test_the_audit_trail_shows_who_asked_and_what_was_refused(tmp_path: Path, app: SandboxApp) -> None:
    async with running(app) as url:
        nobody = await status(tmp_path, url, "--audit", "--json")
        account = AccountKey(url, sign_in(tmp_path, url, app).account)
        none_yet = await status(tmp_path, url, "--audit")
        asked = Consent("claude-code 2.1", "form", (RiskFlag.URGENT,))
        await kept_record(tmp_path / "ledger.db", record(account, CallState.RESERVED, "+14155551234"), consent=asked)
        refused = record(account, CallState.UNKNOWN, "+14155559999")
        with pytest.raises(PolicyError, match="KALLYAI_DENY_NUMBERS"):
            await kept_record(tmp_path / "ledger.db", refused, policy=CallPolicy(denied=("+14155559999",)))
        shown = await status(tmp_path, url, "--audit")
        as_json = await status(tmp_path, url, "--audit", "--json")

    assert (nobody.returncode, json.loads(nobody.stdout)["code"]) == (1, "not_signed_in")
    assert none_yet.stdout == "The audit trail is empty: no call was asked for.\n"
    first, second = shown.stdout.splitlines()
    assert first.endswith("  +14155559999  refused:KALLYAI_DENY_NUMBERS")
    assert "  +14155551234  placed  asked by claude-code 2.1  form  risk: urgent  t-reserved" in second
    newest, oldest = json.loads(as_json.stdout)["audit"]
    assert (newest["outcome"], newest["tracking_id"]) == ("refused:KALLYAI_DENY_NUMBERS", None)
    assert oldest["risk_flags"] == ["urgent"]


def test_what_was_done_on_the_embedded_sandbox_can_be_read(tmp_path: Path) -> None:
    placed = run_in_process(tmp_path, "call", "+12025550103", "Ask for the hours", "--yes", "--sandbox")
    audit = run_in_process(tmp_path, "status", "--audit", "--sandbox")
    shown = run_in_process(tmp_path, "status", "--sandbox")
    by_setting = run_in_process(tmp_path, "status", "--json", SANDBOX="1")
    elsewhere = run_in_process(tmp_path, "status", "--audit")

    assert placed.returncode == 3, placed.stderr
    assert "  placed  asked by kallyai-mcp call  " in audit.stdout
    assert shown.stdout.startswith("KallyAI: the embedded sandbox, which calls nobody\nSigned in")
    assert "\tnot reached\t\t+1 202-555-0103\t" in shown.stdout
    assert json.loads(by_setting.stdout)["calls"]["calls"][0]["status"] == "busy"
    assert elsewhere.returncode == 1


async def test_what_this_machine_knows_is_printed_also_without_the_service_or_the_ledger(
    tmp_path: Path, app: SandboxApp
) -> None:
    async with fake_service(lambda _: (500, {"error": {"code": "oops", "correlation_id": "c-1"}})) as url:
        sign_in(tmp_path, url, app)
        no_service = await status(tmp_path, url)
        as_json = await status(tmp_path, url, "--json")
    refused = await status(tmp_path, "http://127.0.0.1:9", ACCESS_TOKEN="abc123456789")
    (tmp_path / "ledger.db").mkdir()
    shared = {"DATABASE_URL": f"postgresql://127.0.0.1:{free_port()}/calls", "SECRET_KEYS": "0123456789abcdef" * 4}
    async with running(app) as url:
        sign_in(tmp_path, url, app)
        no_ledger = [await status(tmp_path, url, **settings) for settings in ({}, shared)]

    assert no_service.returncode == as_json.returncode == refused.returncode == 1
    assert "Signed in as personal@sandbox.test" in no_service.stdout
    assert no_service.stderr.startswith("Error: ")
    assert len(no_service.stderr.splitlines()) == len(refused.stderr.splitlines()) == 1
    document = json.loads(as_json.stdout)
    assert (document["error"]["code"], document["signed_in"]["who"]) == ("oops", "personal@sandbox.test")
    assert "\nSigned in\n" in refused.stdout
    assert "Error: KallyAI at 127.0.0.1:9 can't be reached: the connection was refused" in refused.stderr
    for shown in no_ledger:
        assert "165 of 210 minutes" in shown.stdout
        assert "This program's record of calls can't be read now" in shown.stdout
        assert "Traceback" not in shown.stderr
