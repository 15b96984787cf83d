"""`kallyai-mcp install` without a client: a person chooses, and sees that the server works."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from kallyai_mcp.cli.client_entry import (
    Change,
    NotEditedError,
    change_of,
    compile_program,
    make,
    say_next,
    say_what_it_depends_on,
)
from kallyai_mcp.cli.clients import Client, client_named, entry_state
from kallyai_mcp.cli.output import HOW_TO_GET_SANDBOX, CommandError, explain, has_sandbox, run, say
from kallyai_mcp.cli.progress import progress_on_stderr
from kallyai_mcp.cli.questions import Choice, answer_to, chosen, is_yes
from kallyai_mcp.cli.screen import Fact, Screen, Tone, show_screen
from kallyai_mcp.cli.server_check import tool_titles
from kallyai_mcp.setting_values import SettingsError
from kallyai_mcp.settings import Settings

_UNCHANGED = "Nothing was changed."
_STAYS = "The entry stays."

_CALLS = (
    Choice("Sandbox", "simulated calls: no account, nobody is called"),
    Choice("Real calls", "to other people, with your KallyAI account"),
)

_FIRST_CALL = ("+12025550100", "Ask when they close", "--sandbox", "--yes", "--redial")
"""A call to a test number of the sandbox; it is placed again if it was before."""


def guide(
    clients: Mapping[str, Client],
    name: str,
    settings: Settings | SettingsError,
    *,
    wants_sandbox: bool,
) -> None:
    """Ask for one of the clients and for the kind of calls, add the entry, start the server by it,
    and offer a first simulated call.

    Raises `CommandError` if the user stops or the server does not start.
    """
    client = _ask_for_client(clients, name)
    sandbox = wants_sandbox or _ask_for_sandbox()
    change = change_of(client, name, sandbox=sandbox)
    _ask_to_replace(change)
    _make(change)
    say()
    _show_server(change)
    _offer_call(settings)
    say()
    say_next(change, sandbox=sandbox)
    say_what_it_depends_on(change)


def _ask_for_client(clients: Mapping[str, Client], name: str) -> Client:
    names = list(clients)
    choices = [Choice(one.title, entry_state(one, name)) for one in clients.values()]

    def position(answer: str) -> int | None:
        named = client_named(answer)
        if named is None or named not in clients:
            return None
        return names.index(named)

    return clients[names[chosen("Which client?", choices, position, unanswered=_UNCHANGED)]]


def _ask_for_sandbox() -> bool:
    """Whether the server is to simulate calls. Without the sandbox's packages, it can't."""
    say()
    if not has_sandbox():
        explain(f"It will place real calls. {HOW_TO_GET_SANDBOX}")
        return False
    found = chosen("Which calls may it place?", _CALLS, _kind_named, unanswered=_UNCHANGED)
    return found == 0


def _kind_named(answer: str) -> int | None:
    wanted = answer.lower()
    for index, choice in enumerate(_CALLS):
        if wanted and choice.title.lower().startswith(wanted):
            return index
    return None


def _ask_to_replace(change: Change) -> None:
    if not change.replaces_another_program:
        return
    explain(f'\n{change.client.title} has an entry "{change.name}" of another program.')
    if not is_yes(answer_to("Replace it? [y/N]:", unanswered=_UNCHANGED)):
        raise CommandError(f"{_UNCHANGED} `kallyai-mcp install --name NAME` gives it another name.")


def _make(change: Change) -> None:
    say()
    try:
        make(change)
    except NotEditedError as error:
        explain(error.message)
        answer_to("Then press Enter:", unanswered="The entry was not added.")
    compile_program()


def _show_server(change: Change) -> None:
    """Start the server as the client will, and show what it can do."""
    with progress_on_stderr() as progress:
        progress.tell(f"Starting the server as {change.client.title} does")
        titles = run(partial(tool_titles, change.entry))
    show_screen(
        Screen(
            Tone.GOOD,
            "The server works",
            (f"{len(titles)} tools",),
            [Fact("Tools", "; ".join(titles))],
        )
    )


def _offer_call(settings: Settings | SettingsError) -> None:
    """Place a simulated call, if the user wants one."""
    if isinstance(settings, SettingsError) or not has_sandbox():
        return
    explain("\nA simulated call shows what an agent gets back. Nobody is called.")
    answer = answer_to("Place one? [Y/n]:", unanswered=_STAYS)
    if answer and not is_yes(answer):
        return
    from kallyai_mcp.cli.call import call

    say()
    call.main(
        list(_FIRST_CALL),
        prog_name="kallyai-mcp call",
        standalone_mode=False,
        obj=replace(settings, sandbox=True),
    )
