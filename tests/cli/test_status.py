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
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.calls.policy import NOT_LOOKED_AT, CallPolicy, Consent, RiskFlag
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
    consent: Consent = NOT_LOOKED_AT,
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


@pytest.fixture
def tokens(tmp_path: Path, kallyai_sandbox: KallyAISandbox) -> Tokens:
    """Of a user who is signed in, and has one call in progress and one of unknown outcome."""
    tokens = sign_in(tmp_path, kallyai_sandbox)
    for state in (CallState.SENT, CallState.UNKNOWN):
        keep(tmp_path, AccountKey(kallyai_sandbox.url, tokens.account), state)
    return tokens


@pytest.mark.usefixtures("tokens")
def test_status_shows_account_quota_and_calls(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox
) -> None:
    shown = status(tmp_path, kallyai_sandbox.url)

    assert shown.returncode == 0, shown.stderr
    account, last = shown.stdout.split("\n\n")
    assert account.startswith("✓ Signed in   SANDBOX    personal@sandbox.test\n")
    assert f"  KallyAI  {kallyai_sandbox.url}\n" in account
    assert "  Left     27 of 35 calls, 165 of 210 minutes\n" in account
    _, first, second = last.splitlines()
    assert {tuple(row.split("\t")[1:]) for row in (first, second)} == {
        ("in progress", "Italian Bistro", "+1 415-555-1234", "t-sent"),
        ("unknown", "Italian Bistro", "+1 415-555-1234", "t-unknown"),
    }


@pytest.mark.usefixtures("tokens")
def test_status_has_the_same_as_json(tmp_path: Path, kallyai_sandbox: KallyAISandbox) -> None:
    document = json.loads(status(tmp_path, kallyai_sandbox.url, "--json").stdout)

    assert document["signed_in"] == {"who": "personal@sandbox.test"}
    assert document["quota"]["minutes_allocated"] == 210
    assert {row["tracking_id"] for row in document["calls"]["calls"]} == {"t-sent", "t-unknown"}


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "JSON"])
def test_status_shows_no_token(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox, tokens: Tokens, form: tuple[str, ...]
) -> None:
    shown = status(tmp_path, kallyai_sandbox.url, *form).stdout

    for secret in (tokens.access_token, tokens.refresh_token):
        assert secret is not None
        assert secret.get_secret_value() not in shown


@pytest.fixture
def audited(tmp_path: Path, kallyai_sandbox: KallyAISandbox) -> str:
    """The URL of a service where a user placed one call and was refused another."""
    url = kallyai_sandbox.url
    account = AccountKey(url, sign_in(tmp_path, kallyai_sandbox).account)
    consent = Consent("claude-code 2.1", "form", (RiskFlag.URGENT,), (None,))
    keep(tmp_path, account, CallState.RESERVED, consent=consent)
    denied = "+14155559999"
    with pytest.raises(PolicyError, match="KALLYAI_DENY_NUMBERS"):
        keep(
            tmp_path,
            account,
            CallState.UNKNOWN,
            denied,
            policy=CallPolicy(Settings(deny_numbers=(denied,))),
        )
    return url


def test_the_audit_trail_shows_who_asked(tmp_path: Path, audited: str) -> None:
    refused, placed = status(tmp_path, audited, "--audit").stdout.splitlines()

    assert refused.endswith("  +14155559999  refused: KALLYAI_DENY_NUMBERS")
    assert (
        "  +14155551234  placed  asked by claude-code 2.1  form  risk: urgent  t-reserved" in placed
    )


def test_the_audit_trail_is_the_same_as_json(tmp_path: Path, audited: str) -> None:
    refused, placed = json.loads(status(tmp_path, audited, "--audit", "--json").stdout)["audit"]

    assert (refused["outcome"], refused["tracking_id"]) == ("refused:KALLYAI_DENY_NUMBERS", None)
    assert placed["risk_flags"] == ["urgent"]


def test_the_audit_trail_keeps_the_disclosure(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox
) -> None:
    sign_in(tmp_path, kallyai_sandbox)
    for number in ("+12025550100", "+12025550117"):
        run_in_process(tmp_path, "call", number, "Ask", "--yes", API_URL=kallyai_sandbox.url)
    forgot, told = status(tmp_path, kallyai_sandbox.url, "--audit").stdout.splitlines()

    assert "  said that it is an AI  " in told
    assert "  did not say that it is an AI  " in forgot


def test_an_empty_audit_trail_says_so(tmp_path: Path, kallyai_sandbox: KallyAISandbox) -> None:
    sign_in(tmp_path, kallyai_sandbox)
    shown = status(tmp_path, kallyai_sandbox.url, "--audit")

    assert shown.stdout == "The audit trail is empty: no call was asked for.\n"


def test_the_audit_trail_needs_a_sign_in(tmp_path: Path, kallyai_sandbox: KallyAISandbox) -> None:
    shown = status(tmp_path, kallyai_sandbox.url, "--audit", "--json")

    assert (shown.returncode, json.loads(shown.stdout)["code"]) == (1, "not_signed_in")


def test_status_reads_the_embedded_sandbox(tmp_path: Path) -> None:
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
    assert "  KallyAI  the embedded sandbox, which calls nobody\n" in shown.stdout
    assert "\tnot reached\t\t+1 202-555-0103\t" in shown.stdout
    assert json.loads(by_setting.stdout)["calls"]["calls"][0]["status"] == "busy"


def test_without_the_service_status_fails(tmp_path: Path, kallyai_sandbox: KallyAISandbox) -> None:
    sign_in(tmp_path, kallyai_sandbox, NOBODY)
    as_text = status(tmp_path, NOBODY)
    as_json = status(tmp_path, NOBODY, "--json")

    assert (as_text.returncode, as_text.stdout) == (1, "")
    assert f"  Address  {NOBODY}\n" in as_text.stderr
    assert (as_json.returncode, as_json.stderr) == (1, "")
    assert json.loads(as_json.stdout)["code"] == "connection_failed"


@pytest.mark.programs
def test_without_a_keyring_status_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    done = run(tmp_path, "status", API_URL=NOBODY, TOKEN_STORE="keyring")

    assert "This machine has no keyring" in done.stderr


def test_without_the_ledger_status_shows_the_rest(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox
) -> None:
    sign_in(tmp_path, kallyai_sandbox)
    (tmp_path / "ledger.db").mkdir()
    shown = status(tmp_path, kallyai_sandbox.url)

    assert "165 of 210 minutes" in shown.stdout
    assert "This program's record of calls can't be read now" in shown.stdout
