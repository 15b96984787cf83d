"""`kallyai-mcp doctor`: what is well, and what is not and how to mend it."""

import json
import os
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from kallyai_mcp.cli import doctor_checks, doctor_service_checks
from kallyai_mcp.cli.clients.known import Machine
from kallyai_mcp.cli.console import say, width
from kallyai_mcp.cli.doctor_checks import Finding
from kallyai_mcp.settings import Settings, SettingsError

_SIGNS = {"ok": "✓", "bad": "✗", "skipped": "-"}
_PATIENCE = 6.0
"""Seconds that a check may take. They run side by side, but in two rounds."""


def examine(settings: Settings | SettingsError, *, as_json: bool) -> int:
    """Look at everything and say what was found. Nothing is changed, and no secret shown.

    It ends within a quarter of a minute, whatever hangs: then not by the interpreter's own exit, which would wait for
    the thread that hangs.

    Args:
        settings: As the environment says, or why they can't be used.
        as_json: Print one JSON object in place of lines: `ok` (all is well), and under `checks` for each its `check`,
            `status` (ok, bad, skipped), `message`, `mend` and details.

    Returns:
        The exit code: 0 if all is well, else 1.
    """
    rounds = _Rounds()
    found = anyio.run(_examine, settings, rounds)
    code = int(any(each.verdict == "bad" for each in found))
    if as_json:
        say(json.dumps({"ok": code == 0, "checks": [_document(each) for each in found]}, indent=2))
    else:
        for each in found:
            _show(each)
    if rounds.hung:
        sys.stdout.flush()
        os._exit(code)
    return code


class _Rounds:
    """Runs checks side by side, each in a thread of its own and bounded in time."""

    def __init__(self) -> None:
        self.hung = False

    async def run(self, *works: Callable[[], Any]) -> list[Any]:
        """What each of `works` returned; a `TimeoutError` or another exception in the place of one that failed."""
        outcomes: list[Any] = [None] * len(works)

        async def one(index: int, work: Callable[[], Any]) -> None:
            try:
                with anyio.fail_after(_PATIENCE):
                    outcomes[index] = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
            except TimeoutError as error:
                self.hung = True
                outcomes[index] = error
            except Exception as error:  # noqa: BLE001 - one check that fails must not keep the others from being told
                outcomes[index] = error

        async with anyio.create_task_group() as tasks:
            for index, work in enumerate(works):
                tasks.start_soon(one, index, work)
        return outcomes


async def _examine(settings: Settings | SettingsError, rounds: _Rounds) -> list[Finding]:
    first = [doctor_checks.version(), doctor_checks.settings_and_their_sources(settings)]
    look_at_clients = partial(doctor_checks.clients, Machine.this())
    if isinstance(settings, SettingsError):
        (configured,) = await rounds.run(look_at_clients)
        return [*first, *_found(configured, "clients")]
    if settings.sandbox:
        written, configured = await rounds.run(partial(doctor_checks.ledger, settings), look_at_clients)
        return [*first, doctor_checks.sandbox(), *_found(written, "ledger"), *_found(configured, "clients")]
    signed, answers, written, configured = await rounds.run(
        partial(doctor_service_checks.sign_in, settings),
        partial(doctor_service_checks.service, settings),
        partial(doctor_checks.ledger, settings),
        look_at_clients,
    )
    kept, tokens = signed if isinstance(signed, tuple) else (signed, None)
    served = _found(answers, "api", "clock")
    asks = [partial(doctor_checks.stuck_calls, settings, tokens)]
    if served[0].verdict == "ok":
        asks.append(partial(doctor_service_checks.account, settings, tokens))
    stuck, *account = await rounds.run(*asks)
    unasked = Finding("account", "skipped", "not asked for, as KallyAI does not answer as it should")
    return [
        *first,
        *_found(kept, "token_store", "sign_in"),
        *served,
        *(_found(account[0], "account") if account else [unasked]),
        *_found(written, "ledger"),
        *_found(stuck, "stuck_calls"),
        *_found(configured, "clients"),
    ]


def _found(outcome: Any, *names: str) -> list[Finding]:
    """What a check found, or that it hung or failed."""
    if isinstance(outcome, TimeoutError):
        said = f"no answer within {_PATIENCE:g} s"
        return [Finding(name, "bad", said, "try again in a minute; if it stays so, look at what it depends on")
                for name in names]  # fmt: skip
    if isinstance(outcome, Exception):
        # Its kind only: its words may quote anything.
        said = f"the check itself failed ({type(outcome).__name__})"
        return [Finding(name, "bad", said, "report this as a bug of kallyai-mcp") for name in names]
    return outcome if isinstance(outcome, list) else [outcome]


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "status": finding.verdict,
        "message": finding.said,
        "mend": finding.mend,
        **finding.details,
    }


def _show(finding: Finding) -> None:
    mend = f" To mend it: {finding.mend}." if finding.mend else ""
    line = f"{_SIGNS[finding.verdict]} {finding.check:<11} {finding.said}{'.' if mend else ''}{mend}"
    if sys.stdout.isatty():
        # A path or a link stays whole, however long, so that it can be copied.
        line = textwrap.fill(line, width(), subsequent_indent=" " * 14, break_long_words=False, break_on_hyphens=False)
    say(line)
