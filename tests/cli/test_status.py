"""`status`: what it prints about the account, the calls, and the audit trail."""

import json
import re
import subprocess
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.calls.policy import CallPolicy, Consent, RiskFlag
from kallyai_mcp.calls.records import AccountKey, CallState
from kallyai_mcp.settings import Settings
from kallyai_mcp.testing import KallyAISandbox
from tests.calls.ledgers import asked, kept_record, submission, system_now
from tests.cli.machine import run_in_process, sign_in
from tests.processes import run

NOBODY = "http://127.0.0.1:9"


def status(
    home: Path, url: str, *arguments: str, **settings: str
) -> "subprocess.CompletedProcess[str]":
    return run_in_process(home, "status", *arguments, API_URL=url, **settings)


def keep(
    home: Path,
    account: AccountKey,
    state: CallState,
    number: str = "+14155551234",
    consent: Consent | None = None,
    policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
) -> None:
    """Write a call into the ledger, or raise because the policy refuses it."""
    wanted = submission(
        task_description=state.value, respondent_phone=number, business_name="Italian Bistro"
    )
    at = system_now() - timedelta(minutes=2)
    record = asked(
        submission=wanted,
        tracking_id=f"t-{state.value}",
        account=account,
        state=state,
        asked_at=at,
    )
    anyio.run(partial(kept_record, home / "ledger.db", record, consent=consent, policy=policy))


def test_it_shows_the_account_the_quota_and_the_calls_and_no_token(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox
) -> None:
    url = kallyai_sandbox.url
    tokens = sign_in(tmp_path, kallyai_sandbox)
    for state in (CallState.SENT, CallState.UNKNOWN):
        keep(tmp_path, AccountKey(url, tokens.account), state)
    shown = status(tmp_path, url)
    document = json.loads(status(tmp_path, url, "--json").stdout)

    first, second, quota, title, *rows = shown.stdout.splitlines()
    assert shown.returncode == 0, shown.stderr
    assert first == f"KallyAI: {url}"
    assert second == "Signed in as personal@sandbox.test"
    assert quota.startswith("27 of 35 calls left (and 165 of 210 minutes); ")
    assert title == "Last calls:"
    assert {tuple(row.split("\t")[1:]) for row in rows} == {
        ("in progress", "Italian Bistro", "+1 415-555-1234", "t-sent"),
        ("unknown", "Italian Bistro", "+1 415-555-1234", "t-unknown"),
    }
    assert document["signed_in"] == {"who": "personal@sandbox.test"}
    assert document["quota"]["minutes_allocated"] == 210
    assert {row["tracking_id"] for row in document["calls"]["calls"]} == {"t-sent", "t-unknown"}
    for secret in (tokens.access_token, tokens.refresh_token):
        assert secret is not None
        assert secret.get_secret_value() not in shown.stdout + str(document)


def test_the_audit_trail_shows_who_asked_and_what_was_refused(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox
) -> None:
    url = kallyai_sandbox.url
    nobody = status(tmp_path, url, "--audit", "--json")
    account = AccountKey(url, sign_in(tmp_path, kallyai_sandbox).account)
    none_yet = status(tmp_path, url, "--audit")
    keep(
        tmp_path,
        account,
        CallState.RESERVED,
        consent=Consent("claude-code 2.1", "form", (RiskFlag.URGENT,), (None,)),
    )
    denied = "+14155559999"
    with pytest.raises(PolicyError, match="KALLYAI_DENY_NUMBERS"):
        keep(
            tmp_path,
            account,
            CallState.UNKNOWN,
            denied,
            policy=CallPolicy(Settings(deny_numbers=(denied,))),
        )
    shown = status(tmp_path, url, "--audit")
    as_json = status(tmp_path, url, "--audit", "--json")

    assert (nobody.returncode, json.loads(nobody.stdout)["code"]) == (1, "not_signed_in")
    assert none_yet.stdout == "The audit trail is empty: no call was asked for.\n"
    first, second = shown.stdout.splitlines()
    assert first.endswith("  +14155559999  refused:KALLYAI_DENY_NUMBERS")
    assert (
        "  +14155551234  placed  asked by claude-code 2.1  form  risk: urgent  t-reserved" in second
    )
    newest, oldest = json.loads(as_json.stdout)["audit"]
    assert (newest["outcome"], newest["tracking_id"]) == ("refused:KALLYAI_DENY_NUMBERS", None)
    assert oldest["risk_flags"] == ["urgent"]


def test_what_was_done_on_the_embedded_sandbox_can_be_read(tmp_path: Path) -> None:
    placed = run_in_process(
        tmp_path, "call", "+12025550103", "Ask for the hours", "--urgent", "--yes", "--sandbox"
    )
    audit = run_in_process(tmp_path, "status", "--audit", "--sandbox")
    shown = run_in_process(tmp_path, "status", "--sandbox")
    by_setting = run_in_process(tmp_path, "status", "--json", SANDBOX="1")

    assert placed.returncode == 3, placed.stderr
    assert re.search(
        r"  placed  asked by kallyai-mcp call  never_asks  risk: .*urgent  ", audit.stdout
    )
    assert shown.stdout.startswith("KallyAI: the embedded sandbox, which calls nobody\nSigned in")
    assert "\tnot reached\t\t+1 202-555-0103\t" in shown.stdout
    assert json.loads(by_setting.stdout)["calls"]["calls"][0]["status"] == "busy"


def test_without_the_service_it_is_an_error_and_without_the_ledger_the_rest_is_shown(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(tmp_path, kallyai_sandbox, NOBODY)
    sign_in(tmp_path, kallyai_sandbox)
    no_service, as_json = status(tmp_path, NOBODY), status(tmp_path, NOBODY, "--json")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    no_keyring = run(tmp_path / "empty", "status", API_URL=NOBODY, TOKEN_STORE="keyring")
    (tmp_path / "ledger.db").mkdir()
    no_ledger = status(tmp_path, kallyai_sandbox.url)

    assert (no_service.returncode, no_service.stdout) == (1, f"KallyAI: {NOBODY}\n")
    assert no_keyring.stderr.startswith("Error: This machine has no keyring")
    assert (as_json.returncode, as_json.stderr, json.loads(as_json.stdout)["code"]) == (
        1,
        "",
        "connection_failed",
    )
    assert no_service.stderr.startswith("Error: KallyAI cannot be reached")
    assert "165 of 210 minutes" in no_ledger.stdout
    assert "This program's record of calls can't be read now" in no_ledger.stdout
