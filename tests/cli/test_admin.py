"""`kallyai-mcp admin`: who runs a server reads the ledger, without a sign-in."""

import json
import secrets
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import pytest

from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.calls.admin import Admin
from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.cli.admin_commands import Ledger as Operated
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.output import CommandError
from kallyai_mcp.settings import Settings
from kallyai_mcp.testing import KallyAISandbox
from tests.calls.ledgers import ACCOUNT, asked, sent
from tests.cli.machine import invoke, run_ok
from tests.cli.test_calls import home

__all__ = ["home"]

NUMBER = "+12025550100"


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that was answered; then nobody is signed in."""
    run_ok("call", NUMBER, "Ask for the hours", "--yes")
    monkeypatch.delenv("KALLYAI_ACCESS_TOKEN")


@pytest.fixture
def tokens(kallyai_sandbox: KallyAISandbox) -> Tokens:
    return Tokens.of(kallyai_sandbox.env["KALLYAI_ACCESS_TOKEN"])


def document(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run_ok("admin", *arguments, "--json"))
    return found


def test_without_a_command_help_is_shown() -> None:
    assert "  audit  " in run_ok("admin")


@pytest.mark.usefixtures("called")
def test_calls_are_listed_without_a_sign_in(tokens: Tokens) -> None:
    [call] = document("calls", "--state", "ended")["calls"]
    row = run_ok("admin", "calls").rstrip("\n").split("\t")

    assert (call["number"], call["account"]) == (NUMBER, tokens.account)
    assert call["outcome"] == row[1] == "answered"
    assert row[3:] == [NUMBER, tokens.account, call["tracking_id"]]


@pytest.mark.usefixtures("called")
def test_rows_are_said_to_be_of_a_ledger(home: Path) -> None:
    for command in (("calls",), ("audit", "--all")):
        assert str(home / "ledger.db") in invoke("admin", *command).stderr


@pytest.mark.usefixtures("called")
def test_a_table_says_that_there_may_be_more() -> None:
    for command in (("calls",), ("audit", "--all")):
        assert "--limit" in invoke("admin", *command, "--limit", "1").stderr
        assert "--limit" not in invoke("admin", *command, "--limit", "2").stderr


def test_a_missing_ledger_is_an_error(home: Path) -> None:
    missing = invoke("admin", "calls")

    assert missing.exit_code == 1
    assert f"There is no {home / 'ledger.db'}" in missing.stderr
    assert not (home / "ledger.db").exists()


@pytest.mark.usefixtures("called")
def test_the_audit_trail_has_the_outcome(tokens: Tokens) -> None:
    row = run_ok("admin", "audit", tokens.account[:8]).rstrip("\n").split("\t")
    [entry] = document("audit", "--all", "--since", "30m")["audit"]

    assert row[1:5] == [tokens.account, NUMBER, "answered", "kallyai-mcp call"]
    assert entry["call"]["outcome"] == "answered"
    assert "No such entries" in run_ok("admin", "audit", "--all", "--since", "2999-01-01")


@pytest.mark.usefixtures("called")
def test_who_called_a_number_is_one_command(tokens: Tokens) -> None:
    for number in (NUMBER, "+1…00"):
        assert tokens.account in run_ok("admin", "audit", "--number", number)
    assert "No such entries" in run_ok("admin", "audit", "--number", "99")


@pytest.mark.usefixtures("called")
def test_a_call_is_found_by_its_id() -> None:
    [entry] = document("audit", "--all")["audit"]
    for id_ in (entry["tracking_id"], entry["call"]["call_id"], entry["tracking_id"][:8] + "…"):
        assert document("audit", "--call", id_)["audit"] == [entry]
    assert document("audit", "--call", "c-of-nobody")["audit"] == []


@pytest.mark.usefixtures("called")
def test_calls_are_listed_until_a_time() -> None:
    for command in (("calls",), ("audit", "--all")):
        assert NUMBER in run_ok("admin", *command, "--until", "2999-01-01")
        assert NUMBER not in run_ok("admin", *command, "--until", "1h")


@pytest.mark.usefixtures("called")
def test_an_account_is_named_by_its_subject(
    tokens: Tokens,
) -> None:
    token = tokens.access_token.get_secret_value()
    claims = jwt.decode(token, options={"verify_signature": False})
    without_issuer = invoke("admin", "audit", claims["sub"])

    assert NUMBER in run_ok("admin", "audit", claims["sub"], "--issuer", claims["iss"])
    assert "name the issuer of its tokens with --issuer" in without_issuer.stderr


@pytest.mark.usefixtures("called")
def test_a_user_gets_all_that_is_stored(tokens: Tokens) -> None:
    found = json.loads(run_ok("admin", "export", tokens.account))
    [call] = found["calls"]

    assert call["submission"]["respondent_phone"] == NUMBER
    assert [len(found[kind]) for kind in ("audit", "opt_outs", "sign_ins")] == [1, 0, 0]


@pytest.mark.usefixtures("called")
def test_a_forgotten_account_leaves_no_number(home: Path, tokens: Tokens) -> None:
    shown = run_ok("admin", "forget", tokens.account, "--yes")
    with closing(sqlite3.connect(home / "ledger.db")) as database:
        dumped = "".join(database.iterdump())

    assert "Deleted" in shown
    assert NUMBER not in dumped
    assert run_ok("admin", "calls").startswith("No such calls in ")


@pytest.mark.usefixtures("called")
def test_forget_asks_before_it_deletes(tokens: Tokens) -> None:
    unasked = invoke("admin", "forget", tokens.account)

    assert unasked.exit_code == 1
    assert "--yes is needed" in unasked.stderr
    assert len(document("calls")["calls"]) == 1


@pytest.mark.programs
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals in Python")
@pytest.mark.usefixtures("called")
def test_forget_shows_what_it_deletes(
    home: Path, tokens: Tokens, kallyai_sandbox: KallyAISandbox
) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    url = {"API_URL": kallyai_sandbox.url}
    with on_terminal(home, "admin", "forget", tokens.account[:8], **url) as terminal:
        terminal.read_until("Audit trail")
        terminal.read_until("Delete it? [y/N]:")
        terminal.type("n\n")
        assert terminal.wait() == 1

    assert len(document("calls")["calls"]) == 1


@pytest.mark.usefixtures("called")
def test_the_ledger_is_copied_into_postgresql(database_url: str) -> None:
    settings: dict[str, str | None] = {
        "KALLYAI_DATABASE_URL": database_url,
        "KALLYAI_SECRET_KEYS": secrets.token_hex(32),
    }
    without_database = invoke("admin", "copy")
    copied = invoke("admin", "copy", variables=settings)
    again = invoke("admin", "copy", variables=settings)

    assert without_database.exit_code == 2
    assert "Copied" in copied.stdout
    assert NUMBER in invoke("admin", "calls", variables=settings).stdout
    assert (again.exit_code, "Nothing was copied. There is no " in again.stderr) == (1, True)


@pytest.mark.usefixtures("called")
def test_an_account_that_is_not_there_is_named(home: Path) -> None:
    for named in ("nobody", "0" * 8):
        unknown = invoke("admin", "audit", named)

        assert unknown.exit_code == 1
        assert f"No account {named} in {home / 'ledger.db'}" in unknown.stderr


@pytest.mark.usefixtures("called")
@pytest.mark.parametrize(
    "arguments",
    [(), ("--all", "a1b2c3d4"), ("--all", "--since", "soon"), ("--number", "x"), ("--call", "…")],
)
def test_wrong_options_of_the_audit_are_refused(arguments: tuple[str, ...]) -> None:
    assert invoke("admin", "audit", *arguments).exit_code == 2


async def test_sign_ins_outlast_a_refused_forget(ledger: Ledger, settings: Settings) -> None:
    async with Connection(settings) as connection:
        operated = Operated(Admin(ledger, ACCOUNT.api), "here", connection)
        await operated.stored.renew_sign_in(ACCOUNT.account, "family", "browser")
        await sent(ledger, asked())
        with pytest.raises(CommandError, match="in progress"):
            await operated.delete(ACCOUNT.account)

    assert await operated.stored.sign_ins(ACCOUNT.account) == {"family": "browser"}


@pytest.mark.usefixtures("called")
def test_a_forgotten_call_is_placed_again_if_meant(tokens: Tokens) -> None:
    run_ok("admin", "forget", tokens.account, "--yes")
    token = tokens.access_token.get_secret_value()
    again = ("call", NUMBER, "Ask for the hours", "--yes")
    refused = invoke(*again, variables={"KALLYAI_ACCESS_TOKEN": token})
    placed = invoke(*again, "--redial", variables={"KALLYAI_ACCESS_TOKEN": token})

    assert refused.exit_code == 1
    assert "its record since." in refused.stderr
    assert "the same command with --redial" in refused.stderr
    assert placed.exit_code == 0
