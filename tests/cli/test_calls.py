"""`call`, `calls`, `show`, `cancel`, `transcript`, `calendar`: a person's calls, by the same ledger
as the tools.
"""

import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio.to_thread
import httpx2
import pytest
from click.shell_completion import ShellComplete

from kallyai_mcp.cli.main import cli
from kallyai_mcp.testing import KallyAISandbox
from tests.agent import Answer, open_agent, settings_in
from tests.cli.machine import invoke, run_ok
from tests.processes import LIMIT, imported_by, started
from tests.sandbox.manual_clock import ManualClock

on_posix = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pseudo-terminals in Python"
)

SATURDAY = (date.today() + timedelta(days=7)).isoformat()  # noqa: DTZ011 - any day that is not past
TABLE = (
    "Reserve a table",
    "--business",
    "Italian Bistro",
    "--party",
    "4",
    "--date",
    SATURDAY,
    "--time",
    "19:00",
    "--name",
    "Ada",
)
BISTRO, BUSY, BLOCKED = "+14155551234", "+12025550103", "+12025550120"
ASK = {
    "task_category": "general",
    "task_description": "Ask for the hours",
    "respondent_phone": BISTRO,
}


@pytest.fixture(autouse=True)
def home(kallyai_sandbox: KallyAISandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which somebody is signed in at the sandbox, and whose settings commands in this
    process find.
    """
    for name, value in kallyai_sandbox.env.items():
        monkeypatch.setenv(name, value)
    return Path(kallyai_sandbox.env["KALLYAI_HOME"])


@pytest.fixture
def signed_in(kallyai_sandbox: KallyAISandbox) -> dict[str, str]:
    """The settings with which other servers and processes use the same account."""
    return {"API_URL": kallyai_sandbox.url, "ACCESS_TOKEN": kallyai_sandbox.access_token}


async def in_thread(work: Callable[..., Any], *arguments: str, code: int = 0) -> Any:
    """Run `run_ok` or `structure` beside the event loop of a test."""
    return await anyio.to_thread.run_sync(lambda: work(*arguments, code=code))


def structure(*arguments: str, code: int = 0) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run_ok(*arguments, "--json", code=code))
    return document


def only_row() -> list[str]:
    """The columns of the only call that `calls` lists."""
    (row,) = run_ok("calls").splitlines()
    return row.split("\t")


def test_call_prints_what_became_of_it() -> None:
    placed = invoke("call", BISTRO, *TABLE, "--yes")

    assert placed.exit_code == 0, placed.output
    assert placed.stderr.startswith("Calling Italian Bistro, 0:00\n")
    assert placed.stdout.startswith("✓ Booked   SANDBOX ")
    assert only_row()[1:4] == ["booked", "Italian Bistro", "+1 415-555-1234"]


@pytest.mark.parametrize("letters", [0, 6, None], ids=["no id", "its beginning", "whole id"])
def test_a_call_is_found_by_its_id(letters: int | None) -> None:
    """Without an id it is the last call."""
    placed = run_ok("call", BISTRO, *TABLE, "--yes")
    id_ = only_row()[-1][:letters]
    words = (id_,) if id_ else ()

    assert run_ok("show", *words) == placed
    assert "table for 4" in run_ok("transcript", *words)
    assert run_ok("calendar", *words).startswith("BEGIN:VCALENDAR")


def test_a_calendar_file_is_saved_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_ok("call", BISTRO, *TABLE, "--yes")
    monkeypatch.chdir(tmp_path)
    name = f"italian-bistro-{SATURDAY}"

    assert run_ok("calendar", "--save").startswith(f"Saved as {name}.ics. ")
    assert run_ok("calendar", "--save").startswith(f"Saved as {name}-2.ics. ")
    assert (tmp_path / f"{name}.ics").read_bytes().startswith(b"BEGIN:VCALENDAR\r\n")


def test_the_same_call_for_later_needs_redial() -> None:
    later = ("--not-before", (datetime.now(UTC) + timedelta(hours=1)).isoformat())
    asked = ("call", BISTRO, *TABLE, "--yes")
    run_ok(*asked)

    assert "no new call was placed" in run_ok(*asked, *later, code=1)
    assert run_ok(*asked, *later, "--redial").startswith("◷ Planned ")


def test_a_booking_is_canceled_by_its_id() -> None:
    booked = structure("call", BISTRO, *TABLE, "--yes")["call_id"]
    about = ("Cancel the table", "--booking", booked[:8], "--change", "cancel", "--yes")
    canceled = structure("call", BISTRO, *about)

    assert canceled["highlights"].startswith("Canceled: ")
    assert structure("show", booked)["canceled_by"] == canceled["call_id"]
    assert "Was booked" in run_ok("show", booked)


def test_a_booking_needs_a_change() -> None:
    said = invoke("call", BISTRO, "About the table", "--booking", "c-1", "--yes")

    assert said.exit_code == 2
    assert "--change: say what to do with that booking: move, cancel, or ask" in said.stderr


async def test_json_is_the_structure_of_the_tool(home: Path, signed_in: dict[str, str]) -> None:
    await in_thread(run_ok, "call", BISTRO, *TABLE, "--yes")
    (call,) = (await in_thread(structure, "calls"))["calls"]
    id_ = {"call_id": call["call_id"]}
    async with open_agent(
        settings_in(home, **signed_in), mode="auto", clock=ManualClock(datetime.now(UTC))
    ) as agent:
        for command, tool in (
            (("calls",), await agent.use("list_calls", limit=20)),
            (("show",), await agent.use("get_call", id_)),
            (("transcript",), await agent.use("get_transcript", id_)),
            (("calendar",), await agent.use("get_calendar_event", id_)),
            (("cancel", call["call_id"]), await agent.use("cancel_call", id_)),
        ):
            code = int(command[0] == "cancel")  # nothing was canceled
            assert await in_thread(structure, *command, code=code) == tool.data, command
        busy = await in_thread(structure, "call", BUSY, "Ask", "--yes", code=3)
        refused = await in_thread(structure, "call", BLOCKED, "Ask", "--yes", code=1)
        tool = await agent.use(
            "make_call", ASK | {"respondent_phone": BLOCKED, "task_description": "Ask"}
        )

    assert (busy["status"], busy["outcome"], busy["placed_now"]) == ("busy", "not_reached", True)
    assert refused.pop("message") == tool.text.replace(
        tool.data["correlation_id"], refused["correlation_id"]
    )
    assert refused | {"correlation_id": ""} == tool.data | {"correlation_id": ""}
    assert refused["code"] == "blocked_number"


async def test_a_tool_joins_a_call_of_the_terminal(home: Path, signed_in: dict[str, str]) -> None:
    first = await in_thread(structure, "call", BISTRO, "Ask for the hours", "--yes")
    async with open_agent(
        settings_in(home, **signed_in), mode="auto", clock=ManualClock(datetime.now(UTC))
    ) as agent:
        by_tool = await agent.use("make_call", ASK)

    assert first["placed_now"] is True
    assert (by_tool.data["placed_now"], by_tool.data["call_id"]) == (False, first["call_id"])
    assert (await in_thread(structure, "calls"))["total"] == 1


async def test_the_terminal_joins_a_call_of_a_tool(home: Path, signed_in: dict[str, str]) -> None:
    asked = ("call", BISTRO, "Ask for the hours", "--yes")
    async with open_agent(
        settings_in(home, **signed_in), mode="auto", clock=ManualClock(datetime.now(UTC))
    ) as agent:
        await agent.use("make_call", ASK)
    joined = await in_thread(run_ok, *asked)
    calls = (await in_thread(structure, "calls"))["total"]
    redialed = await in_thread(run_ok, *asked, "--redial")

    assert "no new call was placed" in joined
    assert "--redial" in joined
    assert "no new call" not in redialed
    assert [calls, (await in_thread(structure, "calls"))["total"]] == [1, 2]


def scheduled_in_san_diego() -> str:
    """Ask for a call at half past nine in the callee's zone; returns what the command prints."""
    due = (
        (datetime.now(UTC) + timedelta(days=2))
        .astimezone(ZoneInfo("America/Los_Angeles"))
        .replace(hour=9, minute=30)
    )
    when = ("--not-before", f"{due:%Y-%m-%dT%H:%M}", "--retries", "2")
    return run_ok("call", "+16195550100", "Ask for the hours", *when, "--yes")


def test_a_call_for_later_names_the_callees_time() -> None:
    said = scheduled_in_san_diego()
    row = only_row()

    assert re.match(r"◷ Planned .* 9:30 AM Los Angeles time", said), said
    assert row[1] == "scheduled"
    assert row[-1][:10] in scheduled_in_san_diego()


def test_the_terminal_cancels_a_call_for_later() -> None:
    scheduled_in_san_diego()

    assert run_ok("cancel", only_row()[-1]).startswith("✓ Canceled ")
    assert only_row()[1] == "canceled"


def test_an_unknown_id_cancels_nothing() -> None:
    assert "t-none" not in run_ok("cancel", "t-none", code=1)


def test_arguments_are_named_as_they_were_typed() -> None:
    wrong = invoke(
        "call",
        "415-555-1234",
        "Ask",
        "--party",
        "51",
        "--date",
        "2020-01-01",
        "--retries",
        "9",
        "--yes",
    )
    far = invoke("call", BISTRO, "Ask", "--not-before", "2099-01-01T09:00", "--yes")

    assert wrong.exit_code == far.exit_code == 2
    for words in (
        "NUMBER: ",
        "+14155551234",
        "--party: write",
        "--date: ",
        "--retries: write",
    ):
        assert words in wrong.stderr
    assert "--not-before: " in far.stderr


@pytest.mark.parametrize(
    ("task", "options", "said"),
    [
        (" ", (), 'TASK: say what the call should achieve, such as "Ask when they close"'),
        ("Ask", ("--date", "tomorrow"), '--date: "tomorrow" is not a day; write it as YYYY-MM-DD'),
        ("Ask", ("--date", "2026-13-40"), '--date: "2026-13-40" is not a day; write it as'),
        ("Ask", ("--time", "8pm"), '--time: "8pm" is not a time; write it as HH:MM'),
        ("Ask", ("--date", "2020-01-01"), '--date: "2020-01-01" is past; it is '),
        ("Ask", ("--party", "99"), "--party: write how many people come, from 1 to 50"),
        ("Ask", ("--retries", "9"), "--retries: write how many more times to call, from 0 to 3"),
        (
            "Ask",
            ("--timezone", "Madrid"),
            '--timezone: "Madrid" is not a time zone; write one such',
        ),
        ("Ask", ("--not-before", "noon"), '--not-before: "noon" is not a day and a time; write'),
        ("Ask", ("--change", "ask"), "--booking: name the call whose booking this one is about;"),
    ],
)
def test_a_wrong_argument_has_a_persons_words(
    task: str, options: tuple[str, ...], said: str
) -> None:
    wrong = invoke("call", BISTRO, task, *options, "--yes")

    assert wrong.exit_code == 2
    assert said in wrong.stderr
    assert "expected" not in wrong.stderr


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("", "write the number to call, with its country code, such as +14155551234"),
        ("12", '"12" has no country code; write the number as +14155551234 is written'),
        ("abc", '"abc" is not a phone number; write one such as +14155551234'),
        ("+14155551", '"+14155551" is not a number that can be called; look it up again'),
        ("4155551234", '"4155551234" has no country code; it may be +14155551234 (United States)'),
        ("+14155551234;5", '"+14155551234;5" has an extension, which KallyAI does not support;'),
    ],
)
def test_a_wrong_number_has_a_persons_words(number: str, said: str) -> None:
    wrong = invoke("call", number, "Ask", "--yes")
    callback = invoke("call", BISTRO, "Ask", "--phone", number or "-", "--yes")

    assert wrong.exit_code == 2
    assert f"NUMBER: {said}" in wrong.stderr
    assert "E.164" not in wrong.stderr + callback.stderr


@pytest.fixture
async def waiting_list(home: Path, signed_in: dict[str, str]) -> AsyncIterator[Answer]:
    """A list of a tool that waits for a decision, as `get_call` tells of it."""
    ask = {
        "until": "booked",
        "task_category": "general",
        "task_description": "Ask for a table",
        "candidates": [
            {"respondent_phone": number, "business_name": name}
            for number, name in ((BUSY, "First"), ("+12025550102", "Second"), (BISTRO, "Third"))
        ],
    }
    async with open_agent(
        settings_in(home, **signed_in), mode="auto", clock=ManualClock(datetime.now(UTC))
    ) as agent:
        decide = await agent.use("call_around", ask)
        yield await agent.use("get_call", call_id=decide.data["tracking_id"])


async def test_show_tells_of_a_list(waiting_list: Answer) -> None:
    id_ = waiting_list.data["tracking_id"]

    assert (await in_thread(run_ok, "show", id_)).startswith("! Needs your decision ")
    assert await in_thread(structure, "show", id_[:10], "--follow") == waiting_list.data


async def test_calls_and_status_name_a_waiting_list(waiting_list: Answer) -> None:
    id_ = waiting_list.data["tracking_id"]
    listed = await anyio.to_thread.run_sync(invoke, "calls")
    document = await in_thread(structure, "status")

    assert f"{id_} (needs decision)" in listed.stderr
    assert f"{id_} (needs decision)" in await in_thread(run_ok, "status")
    assert [found["tracking_id"] for found in document["calls"]["lists"]] == [id_]


async def test_the_terminal_cancels_a_waiting_list(waiting_list: Answer) -> None:
    id_ = waiting_list.data["tracking_id"]

    await in_thread(run_ok, "cancel", id_)

    assert (await in_thread(structure, "show", id_))["status"] == "canceled"


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (("+12025550101", *TABLE, "--accept-other-time"), 0, "! Booked for another time "),
        (("+442079460103", "Ask", "--retries", "1"), 0, "◷ Planned "),
        ((BUSY, "Ask"), 3, "✗ Not reached "),
    ],
    ids=["agreed", "a later attempt", "nobody reached"],
)
def test_exit_codes_say_how_a_call_ended(asked: tuple[str, ...], code: int, said: str) -> None:
    """A later attempt is not waited for."""
    assert run_ok("call", *asked, "--yes", code=code).startswith(said)


def test_without_a_terminal_a_call_needs_yes() -> None:
    unasked = invoke("call", BISTRO, "Ask for the hours")

    assert unasked.exit_code == 1
    assert unasked.stderr.splitlines()[-1].startswith("Error: Not called: --yes is needed")


def test_show_refuses_an_ambiguous_or_unknown_id() -> None:
    due = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    for number in (BUSY, BISTRO):
        run_ok("call", number, "Ask", "--yes", "--not-before", due)

    several = invoke("show", "t-")

    assert several.exit_code == 1
    assert several.stderr.startswith("Error: Several calls have an id that begins with t-: t-")
    assert run_ok("show", "t-none", code=1) == ""
    assert structure("show", "t-none", code=1)["code"] == "call_not_found"


def test_calls_says_how_to_see_more() -> None:
    for number in (BUSY, BISTRO):
        invoke("call", number, "Ask", "--yes")

    assert invoke("calls", "--limit", "1").stderr == "More: kallyai-mcp calls --offset 1\n"


@pytest.mark.programs
@on_posix
@pytest.mark.parametrize(("reply", "code"), [("n", 1), ("Ctrl-C", 130)])
def test_declining_on_a_terminal_calls_nobody(
    home: Path, signed_in: dict[str, str], reply: str, code: int
) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    with on_terminal(home, "call", BISTRO, *TABLE, **signed_in) as terminal:
        assert "Simulated call" in terminal.read_until("nobody is called")
        terminal.read_until("Place this simulated call? [y/N]: ")
        if reply == "n":
            terminal.type("n\n")
        else:
            terminal.process.send_signal(signal.SIGINT)
        ended = terminal.wait()

    assert ended == code
    assert terminal.output.rstrip().endswith("Error: Not called.")
    assert structure("calls")["total"] == 0


@pytest.mark.programs
@on_posix
def test_a_yes_on_a_terminal_places_the_call(home: Path, signed_in: dict[str, str]) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    run_ok("call", BISTRO, "Ask for the hours", "--yes")
    with on_terminal(home, "call", BISTRO, *TABLE, **signed_in) as terminal:
        terminal.read_until("this number was or may have been called within the last hour")
        terminal.type("y\n")
        ended = terminal.wait()

    assert ended == 0, terminal.output
    assert re.search(r"⠋.* Calling Italian Bistro, 0:0\d", terminal.output)
    assert "\x1b[1;32m✓ Booked\x1b[0m" in terminal.output


@pytest.mark.programs
@on_posix
def test_another_call_to_the_number_voids_a_yes(home: Path, signed_in: dict[str, str]) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    with on_terminal(home, "call", BISTRO, *TABLE, **signed_in) as terminal:
        terminal.read_until("Place this simulated call? [y/N]: ")
        run_ok("call", BISTRO, "Ask for the hours", "--yes")
        terminal.type("y\n")
        ended = terminal.wait()

    assert ended == 1
    assert "The calls to this number changed meanwhile" in terminal.output
    assert structure("calls")["total"] == 1


@pytest.mark.programs
@on_posix
async def test_ctrl_c_says_how_to_follow_the_call(
    home: Path, kallyai_sandbox: KallyAISandbox, signed_in: dict[str, str]
) -> None:
    async with httpx2.AsyncClient(
        base_url=f"{kallyai_sandbox.url}/_sandbox", timeout=LIMIT
    ) as http:
        await http.put(f"line/{BISTRO}", json={"does": "is_played"})
        with started(home, "call", BISTRO, "Ask for the hours", "--yes", **signed_in) as process:
            with anyio.fail_after(LIMIT):
                while not kallyai_sandbox.calls:  # noqa: ASYNC110 - there is no event to wait for
                    await anyio.sleep(0.01)
            (call,) = kallyai_sandbox.calls
            await http.post(f"play/calls/{call.call_id}/pick-up")
            process.send_signal(signal.SIGINT)
            _, words = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=LIMIT))
            await http.post(f"play/calls/{call.call_id}/turns", json={"does": "hangs_up"})
    command = re.search(
        r"The call goes on\. To follow it: kallyai-mcp show (t-\S+) --follow\n", words
    )

    assert process.returncode == 130
    assert command is not None, words
    assert "+1 415-555-1234" in await anyio.to_thread.run_sync(
        lambda: run_ok("show", command[1], "--follow")
    )
    assert len(kallyai_sandbox.calls) == 1


@pytest.mark.programs
@on_posix
def test_a_row_fits_with_enough_of_the_id(home: Path, signed_in: dict[str, str]) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    run_ok(
        "call",
        BISTRO,
        "Ask",
        "--business",
        "The Italian Bistro of Ada Lovelace at the Old Harbor",
        "--yes",
    )
    with on_terminal(home, "calls", **signed_in) as terminal:
        assert terminal.wait() == 0
    mark, headers, row = terminal.output.splitlines()

    assert "SANDBOX" in mark
    assert "How it ended" in headers
    assert len(row) <= 100
    assert structure("show", row.split()[-1])["respondent_phone"] == BISTRO


def completions(command: str, incomplete: str) -> list[tuple[str, str | None]]:
    """What TAB completes the id to, with what is said of it."""
    shell = ShellComplete(cli, {}, "kallyai-mcp", "_KALLYAI_MCP_COMPLETE")
    return [(one.value, one.help) for one in shell.get_completions([command], incomplete)]


@pytest.mark.parametrize("command", ["show", "transcript", "calendar", "cancel"])
def test_tab_completes_the_id_of_a_call(command: str) -> None:
    run_ok("call", BISTRO, *TABLE, "--yes")
    id_ = only_row()[-1]

    assert completions(command, id_[:3]) == [(id_[:8], "Italian Bistro, booked")]
    assert completions(command, id_[:12]) == [(id_[:12], "Italian Bistro, booked")]
    assert completions(command, "nothing") == []


def test_tab_without_kallyai_completes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_API_URL", "http://127.0.0.1:9")

    assert completions("show", "") == []


@pytest.mark.programs
def test_commands_that_only_read_import_no_sdk(home: Path, signed_in: dict[str, str]) -> None:
    run_ok("call", BUSY, "Ask for the hours", "--yes", code=3)
    modules = imported_by(home, "status", **signed_in)
    assert "kallyai_mcp.tools.call_page" in modules
    assert not {"mcp", "starlette", "fastapi", "keyring"} & modules
    modules = imported_by(home, "--help")
    assert "kallyai_mcp.cli.main" in modules
    assert not {"rich", "asyncio", "pydantic", "mcp", "httpx2", "kallyai_mcp.cli.calls"} & modules
