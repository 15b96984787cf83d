"""`kallyai-mcp doctor`: checks this installation and says how to fix what is wrong."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from kallyai_mcp.cli import doctor_checks, doctor_ledger_checks, doctor_service_checks
from kallyai_mcp.cli.clients.known import Machine
from kallyai_mcp.cli.console import say, wrapped
from kallyai_mcp.cli.doctor_checks import Finding, skipped
from kallyai_mcp.settings import Settings, SettingsError

_SIGNS = {"ok": "✓", "warning": "!", "bad": "✗", "skipped": "-"}
_FOR_AN_ACCOUNT = {"token_store", "sign_in", "api", "clock", "account"}
_CHECK_SECONDS = 6.0
"""How many seconds a check may take. The checks of a round run at the same time, and there are two rounds."""


def examine(settings: Settings | SettingsError, *, as_json: bool) -> int:
    """Run every check and print what was found. Nothing is changed, and no secret is printed.

    It ends within 15 seconds, even if a check hangs. In that case, the process exits without the interpreter's own
    clean-up, which would wait for the thread of the check.

    Args:
        settings: The settings of this process, or why they are not valid.
        as_json: Print one JSON object instead of lines: `ok` (no check failed), and `checks`, a list. Each check has
            `check`, `status` (ok, warning, bad, skipped), `message`, `fix`, and its own details.

    Returns:
        The exit code: 0 if no check failed, else 1.
    """
    runner = _CheckRunner()
    found = _without_sign_in(anyio.run(_examine, settings, runner))
    code = int(any(each.verdict == "bad" for each in found))
    if as_json:
        say(json.dumps({"ok": code == 0, "checks": [_document(each) for each in found]}, indent=2))
    else:
        for each in found:
            _show(each)
        say(wrapped(_summary(found)) if sys.stdout.isatty() else _summary(found))
    if runner.has_hung:
        sys.stdout.flush()
        os._exit(code)
    return code


class _CheckRunner:
    """Runs checks at the same time, each in its own thread and for `_CHECK_SECONDS` at most.

    Attributes:
        has_hung: A check took too long; its thread may still run.
    """

    def __init__(self) -> None:
        self.has_hung = False

    async def run(self, *checks: Callable[[], Any]) -> list[Any]:
        """Return the result of each check; if it failed, its exception; if it took too long, a `TimeoutError`."""
        results: list[Any] = [None] * len(checks)

        async def run_one(index: int, check: Callable[[], Any]) -> None:
            try:
                with anyio.fail_after(_CHECK_SECONDS):
                    results[index] = await anyio.to_thread.run_sync(check, abandon_on_cancel=True)
            except TimeoutError as error:
                self.has_hung = True
                results[index] = error
            except Exception as error:  # noqa: BLE001 - one check that fails must not stop the others
                results[index] = error

        async with anyio.create_task_group() as tasks:
            for index, check in enumerate(checks):
                tasks.start_soon(run_one, index, check)
        return results


async def _examine(settings: Settings | SettingsError, runner: _CheckRunner) -> list[Finding]:
    first = [doctor_checks.version(), doctor_checks.settings_and_sources(settings)]
    check_clients = partial(doctor_checks.clients, Machine.this())
    if isinstance(settings, SettingsError):
        (clients,) = await runner.run(check_clients)
        return [*first, *_findings(clients, "clients")]
    if settings.sandbox:
        ledger, clients = await runner.run(partial(doctor_ledger_checks.ledger, settings), check_clients)
        return [*first, doctor_checks.sandbox(), *_findings(ledger, "ledger"), *_findings(clients, "clients")]
    signed_in, service, ledger, clients = await runner.run(
        partial(doctor_service_checks.sign_in, settings),
        partial(doctor_service_checks.service, settings),
        partial(doctor_ledger_checks.ledger, settings),
        check_clients,
    )
    store_and_sign_in, tokens = signed_in if isinstance(signed_in, tuple) else (signed_in, None)
    service_findings = _findings(service, "api", "clock")
    second_round = [partial(doctor_ledger_checks.stuck_calls, settings, tokens)]
    if service_findings[0].verdict == "ok":
        second_round.append(partial(doctor_service_checks.account, settings, tokens))
    stuck, *account = await runner.run(*second_round)
    no_account = skipped("account", "not checked, as KallyAI does not answer as it should")
    return [
        *first,
        *_findings(store_and_sign_in, "token_store", "sign_in"),
        *service_findings,
        *(_findings(account[0], "account") if account else [no_account]),
        *_findings(ledger, "ledger"),
        *_findings(stuck, "stuck_calls"),
        *_findings(clients, "clients"),
    ]


def _findings(result: Any, *names: str) -> list[Finding]:
    """The findings of a check. If it failed or took too long, a finding that says so for each of its `names`."""
    if isinstance(result, TimeoutError):
        message = f"no answer within {_CHECK_SECONDS:g} s"
        fix = "try again in a minute; if it happens again, look at what it depends on"
        return [Finding(name, "bad", message, fix) for name in names]
    if isinstance(result, Exception):
        # Only the class of the error: its message may contain a secret.
        kind = type(result).__name__
        message = f"the check itself failed ({kind})"
        fix = "report this as a bug of kallyai-mcp"
        return [Finding(name, "bad", message, fix) for name in names]
    return result if isinstance(result, list) else [result]


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "status": finding.verdict,
        "message": finding.message,
        "fix": finding.fix,
        **finding.details,
    }


def _summary(found: list[Finding]) -> str:
    problems = [each for each in found if each.verdict == "bad"]
    if not problems:
        warnings = ", ".join(each.check for each in found if each.verdict == "warning")
        if warnings:
            return f"It works. See the warning: {warnings}."
        return "All is well."
    first, count = problems[0], len(problems)
    said = f"1 problem: {first.check}." if count == 1 else f"{count} problems. First: {first.check}."
    return f"{said}{_how_to_fix(first)}"


def _how_to_fix(finding: Finding) -> str:
    return f" To fix it: {finding.fix}." if finding.fix else ""


def _without_sign_in(found: list[Finding]) -> list[Finding]:
    """`found`, without failed checks of the sign-in if all clients here use the embedded sandbox, which needs none."""
    rows: list[dict[str, Any]] = next(
        (each.details.get("clients", []) for each in found if each.check == "clients"), []
    )
    if not rows or not all(row.get("sandbox") for row in rows):
        return found
    why = "the clients here use the embedded sandbox, which needs none of it"
    return [
        replace(each, verdict="skipped", message=f"{each.message}; {why}", fix=None)
        if each.verdict == "bad" and each.check in _FOR_AN_ACCOUNT
        else each
        for each in found
    ]


def _show(finding: Finding) -> None:
    fix = _how_to_fix(finding)
    line = f"{_SIGNS[finding.verdict]} {finding.check:<11} {finding.message}{'.' if fix else ''}{fix}"
    say(wrapped(line, hanging=" " * 14) if sys.stdout.isatty() else line)
