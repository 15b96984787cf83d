"""What `kallyai-mcp admin forget` asks, and shows."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from kallyai_mcp.calls.operator import Deleted
from kallyai_mcp.cli.output import CommandError
from kallyai_mcp.cli.questions import answer_to, is_yes
from kallyai_mcp.cli.screen import Fact, Screen, Tone, show_screen

_NOTHING_DELETED = "Nothing was deleted."

_KINDS = {
    "calls": "Calls",
    "call_lists": "Lists of calls",
    "opt_outs": "Opt-outs",
    "audit": "Audit trail",
    "sign_ins": "Sign-ins",
}
"""What a person calls the kinds of things that are stored."""


def ask_to_delete(account: str, counts: Mapping[str, int], place: str) -> None:
    """Show what is stored of an account, and ask whether to delete it; `CommandError` if not."""
    screen = Screen(
        Tone.ASKED,
        "Delete all of this",
        facts=(Fact("Account", account), Fact("Ledger", place), *_facts(counts)),
        notes=("The account's apps are disconnected. Its scheduled calls are not placed.",),
    )
    show_screen(screen, err=True)
    if not sys.stdin.isatty():
        raise CommandError(
            f"{_NOTHING_DELETED} --yes is needed where there is no terminal to ask on."
        )
    if not is_yes(answer_to("Delete it? [y/N]:", unanswered=_NOTHING_DELETED)):
        raise CommandError(_NOTHING_DELETED)


def deleted_screen(counts: Mapping[str, int], deleted: Deleted) -> Screen:
    """What was deleted of an account, and what stays."""
    notes = ["Backups, and KallyAI itself, still have what they had."]
    if deleted.kept_as_hashes:
        notes.insert(
            0,
            "Calls of the last day stay as hashes for a day, so that none is placed twice: "
            f"{deleted.kept_as_hashes}.",
        )
    return Screen(Tone.GOOD, "Deleted", facts=tuple(_facts(counts)), notes=notes)


def copied_screen(counts: Mapping[str, int], file: Path) -> Screen:
    """What was copied out of a file."""
    facts = [Fact(label, str(counts[kind])) for kind, label in _KINDS.items() if kind in counts]
    return Screen(
        Tone.GOOD,
        "Copied",
        facts=facts,
        notes=(f"{file} is {file.name}.copied now: delete it when the servers work.",),
        steps=(Fact("To check", "kallyai-mcp doctor"),),
    )


def _facts(counts: Mapping[str, int]) -> Iterator[Fact]:
    for kind, label in _KINDS.items():
        yield Fact(label, str(counts[kind]))
