"""`call`, `calls`, `show`, `cancel`, `transcript`, `calendar`: a person's calls, by the same ledger as the tools."""

import json
import os
import re
import signal
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import anyio.lowlevel
import anyio.to_thread
import httpx2
import pytest
from click.testing import Result

from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.testing import KallyAISandbox
from tests.agent import open_agent, settings_in
from tests.cli.machine import invoke
from tests.processes import LIMIT, started
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals in Python")

SATURDAY = (date.today() + timedelta(days=7)).isoformat()  # noqa: DTZ011 - any day that is not past
TABLE = ("Reserve a table", "--business", "Italian Bistro", "--party", "4", "--date", SATURDAY, "--time", "19:00",
         "--name", "Ada")  # fmt: skip
BISTRO, BUSY, DO_NOT_CALL = "+14155551234", "+12025550103", "+12025550121"


@pytest.fixture
def home(kallyai_sandbox: KallyAISandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which somebody is signed in at the sandbox, and whose settings commands in this process find."""
    return use(kallyai_sandbox, monkeypatch)


def use(sandbox: KallyAISandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in sandbox.env.items():
        monkeypatch.setenv(name, value)
    return Path(sandbox.env["KALLYAI_HOME"])


async def in_process(*arguments: str) -> Result:
    return await anyio.to_thread.run_sync(lambda: invoke(*arguments))


def signed_in() -> dict[str, str]:
    """The settings with which other servers and processes use the same account."""
    return {name: os.environ[f"KALLYAI_{name}"] for name in ("API_URL", "ACCESS_TOKEN")}


async def test_a_call_and_all_that_one_can_ask_about_it(home: Path) -> None:
    placed = await in_process("call", BISTRO, *TABLE, "--yes")
    listed = await in_process("calls", "--json")
    (call,) = json.loads(listed.stdout)["calls"]
    call_id = call["call_id"]
    row = await in_process("calls")
    shown = await in_process("show", call["call_id"], "--json")
    spoken = await in_process("transcript", call_id)
    entries = await in_process("transcript", call_id, "--json")
    printed = await in_process("calendar", call_id)
    file = home / "table.ics"
    written = await in_process("calendar", call_id, "-o", str(file))
    event = await in_process("calendar", call_id, "--json")

    assert placed.exit_code == 0, placed.output
    assert "Call to Italian Bistro, +1 415-555-1234 (United States)\n" in placed.stderr
    assert placed.stdout.splitlines()[0] == "Booked  Italian Bistro, +1 415-555-1234"
    assert ", 7:00 PM" in placed.stdout.splitlines()[1]
    assert f"kallyai-mcp calendar {call_id} -o appointment.ics" in placed.stdout
    assert f"kallyai-mcp transcript {call_id}" in placed.stdout
    assert call_id in row.stdout
    assert "Italian Bistro, +1 415-555-1234" in row.stdout
    assert json.loads(shown.stdout)["status"] == "success"
    assert "KallyAI\n" in spoken.stdout
    assert "table for 4" in spoken.stdout
    assert json.loads(entries.stdout)["entries"]
    assert printed.stdout.startswith("BEGIN:VCALENDAR")
    assert file.read_text().startswith("BEGIN:VCALENDAR")
    assert str(file) in written.stdout
    assert json.loads(event.stdout)["start"].startswith(f"{SATURDAY}T19:00")


async def test_a_call_of_the_terminal_is_not_placed_again_by_a_tool_and_the_reverse(home: Path) -> None:
    settings = settings_in(home, **signed_in())
    arguments = {
        "task_category": "general",
        "task_description": "Ask for the hours",
        "respondent_phone": BISTRO,
    }
    async with open_agent(settings, mode="auto", clock=ManualClock(datetime.now(UTC))) as agent:
        first = await in_process("call", BISTRO, "Ask for the hours", "--yes", "--json")
        by_tool = await agent.use("make_call", arguments)
        await agent.use("make_call", arguments | {"respondent_phone": "+14155550000"})
    by_terminal = await in_process("call", "+14155550000", "Ask for the hours", "--yes")
    listed = await in_process("calls", "--json")

    assert json.loads(first.stdout)["placed_now"] is True
    assert by_tool.data["placed_now"] is False
    assert by_tool.data["call_id"] == json.loads(first.stdout)["call_id"]
    assert "No new call was placed. To call again on purpose: --redial" in by_terminal.stdout
    assert by_terminal.exit_code == 0
    assert json.loads(listed.stdout)["total"] == 2


async def test_a_scheduled_call_can_be_canceled_and_one_that_is_over_can_not(home: Path) -> None:
    settings = settings_in(home, **signed_in())
    async with open_agent(settings, mode="auto", clock=ManualClock(datetime.now(UTC))) as agent:
        due = (datetime.now(UTC) + timedelta(days=2)).isoformat()
        ask = {"task_category": "general", "task_description": "Ask for the hours", "respondent_phone": BISTRO}
        scheduled = await agent.use("make_call", ask, not_before=due)
    canceled = await in_process("cancel", scheduled.data["tracking_id"])
    await in_process("call", BUSY, "Ask for the hours", "--yes")
    (over,) = json.loads((await in_process("calls", "--json")).stdout)["calls"]
    late = await in_process("cancel", over["call_id"], "--json")
    none = await in_process("cancel", "t-none")

    assert (canceled.exit_code, canceled.stdout) == (0, "Canceled. No further call will be placed.\n")
    assert late.exit_code == none.exit_code == 1
    assert json.loads(late.stdout)["status"] == "busy"
    assert none.stdout == ""


@pytest.mark.usefixtures("home")
async def test_a_call_for_later_names_both_times_and_what_must_be_running_and_can_be_canceled() -> None:
    due = (datetime.now(UTC) + timedelta(days=2)).astimezone(ZoneInfo("America/Los_Angeles")).replace(hour=9, minute=30)
    asked = ("call", "+16195550100", "Ask for the hours", "--not-before", f"{due:%Y-%m-%dT%H:%M}", "--retries", "2")
    scheduled = await in_process(*asked, "--yes")
    again = await in_process(*asked, "--yes")
    row = await in_process("calls")
    id_ = scheduled.stdout.split()[-1]
    shown = await in_process("show", id_, "--json")
    canceled = await in_process("cancel", id_)
    past = await in_process("call", BISTRO, "Ask", "--not-before", "2020-01-01T09:00", "--retries", "9", "--yes")
    far = await in_process("call", BISTRO, "Ask", "--not-before", "2099-01-01T09:00", "--yes")

    assert scheduled.exit_code == 0, scheduled.output
    assert re.search(r"  When: .*, 9:30 AM Los Angeles time( \(.*your time\))?\n", scheduled.stderr), scheduled.stderr
    assert "  Attempts: up to 3 if it is busy or nobody answers" in scheduled.stderr
    assert re.match(
        r"Scheduled {2}\+1 619-555-0100 Due .*, 9:30 AM(, Los Angeles time)?\. A kallyai-mcp server of yours must be "
        "running then: your AI app starts one",
        scheduled.stdout.replace("\n ", ""),
    ), scheduled.stdout
    assert f"kallyai-mcp cancel {id_}" in scheduled.stdout
    assert "This call is scheduled already, and no other one was." in again.stdout
    assert id_ in again.stdout
    assert re.match(r"\w{3} \d+(, \d{4})? \d+:\d\d [AP]M +Scheduled +\+1 619-555-0100", row.stdout), row.stdout
    assert json.loads(shown.stdout)["attempts"] == 3
    assert (canceled.exit_code, canceled.stdout) == (0, "Canceled. No further call will be placed.\n")
    assert past.exit_code == far.exit_code == 2
    assert "--retries: 9" in past.stderr
    assert "--not-before: " in far.stderr


@pytest.mark.usefixtures("home")
async def test_a_busy_number_is_called_again_later_and_the_command_does_not_wait_for_it() -> None:
    busy = await in_process("call", BUSY, "Ask for the hours", "--retries", "1", "--yes")
    id_ = busy.stdout.split()[-1]
    shown = await in_process("show", id_)
    await in_process("cancel", id_)

    assert busy.exit_code == 0, busy.output
    assert busy.stdout.startswith("Scheduled  +1 202-555-0103\n  Due ")
    assert "  Attempt 2 of 2. Before: busy, " in busy.stdout
    assert shown.stdout == busy.stdout


async def test_a_list_that_needs_a_decision_is_shown_and_can_be_canceled(home: Path) -> None:
    settings = settings_in(home, **signed_in())
    ask = {"until": "booked", "task_category": "general", "task_description": "Ask for a table",
           "candidates": [{"respondent_phone": number, "business_name": name} for number, name in
                          ((BUSY, "First"), ("+12025550102", "Second"), (BISTRO, "Third"))]}  # fmt: skip
    async with open_agent(settings, mode="auto", clock=ManualClock(datetime.now(UTC))) as agent:
        decide = await agent.use("call_around", ask)
    id_, (busy, full) = decide.data["tracking_id"], decide.data["calls"]
    shown = await in_process("show", id_)
    followed = await in_process("show", id_, "--follow", "--json")
    rows = (await in_process("calls")).stdout.splitlines()
    state = await in_process("status")
    document = json.loads((await in_process("status", "--json")).stdout)
    canceled = await in_process("cancel", id_)
    after = await in_process("show", id_)
    again = await in_process("cancel", id_)

    first, sentence, *lines = shown.stdout.splitlines()
    assert first == "Needs your decision  2 of 3"
    assert sentence.startswith("  Somebody talked, and something may have been booked. Read what was said.")
    assert '  1. First, +1 202-555-0103  Not reached: busy\n     KallyAI reports: "' in shown.stdout
    assert '  2. Second, +1 202-555-0102  Answered\n     KallyAI reports: "' in shown.stdout
    assert lines[-3:] == [
        "  3. Third, +1 415-555-1234  Not called",
        f"  kallyai-mcp transcript {full['call_id']}",
        f"  kallyai-mcp cancel {id_}",
    ]
    assert json.loads(followed.stdout)["status"] == "needs_decision"
    assert rows[:4] == [
        f"Needs your decision  2 of 3  {id_}",
        f"  1. First, +1 202-555-0103  Not reached: busy  {busy['call_id']}",
        f"  2. Second, +1 202-555-0102  Answered  {full['call_id']}",
        "  3. Third, +1 415-555-1234  Not called",
    ]
    assert f"  Needs your decision  2 of 3  {id_}" in state.stdout
    assert [found["tracking_id"] for found in document["lists"]] == [id_]
    text = " ".join(canceled.stdout.split())
    assert text == "Canceled: nobody else is called. Not called: Third (+1 415-555-1234)."
    assert after.stdout.startswith("Canceled  2 of 3\n  Nobody else is called.\n")
    assert (again.exit_code, again.stdout) == (0, canceled.stdout)


async def test_a_list_in_progress_is_canceled_and_its_call_goes_on_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(datetime.now(UTC))
    ask = {"until": "booked", "task_category": "general", "task_description": "Ask for a table", "wait_seconds": 0,
           "candidates": [{"respondent_phone": BUSY, "business_name": "First"},
                          {"respondent_phone": BISTRO, "business_name": "Second"}]}  # fmt: skip
    clock.hold()
    with sandbox_app(clock=clock) as app:
        async with running(app) as url:
            home = use(KallyAISandbox(app, url, tmp_path), monkeypatch)
            async with open_agent(settings_in(home, **signed_in()), mode="auto", clock=clock) as agent:
                id_ = (await agent.use("call_around", ask)).data["tracking_id"]
                await clock.sleepers(1)
                running_ = await in_process("show", id_)
                canceled = await in_process("cancel", id_)
                clock.advance(minutes=5)
                ended = await agent.use("get_call", call_id=id_, wait_seconds=5)
                listed = await agent.use("list_calls")
                again = await in_process("cancel", id_, "--json")

    assert running_.stdout.startswith("Calling one after another  1 of 2\n")
    assert canceled.exit_code == 0, canceled.output
    assert " ".join(canceled.stdout.split()) == (
        "Canceled: nobody else is called. Not called: Second (+1 415-555-1234). The call in progress can't be hung up."
    )
    assert ended.data["status"] == "canceled"
    assert [call["status"] for call in ended.data["calls"]] == ["busy"]
    assert [one["business_name"] for one in ended.data["not_called"]] == ["Second"]
    assert listed.data["total"] == 1
    assert (again.exit_code, json.loads(again.stdout)["status"]) == (0, "canceled")


@pytest.mark.usefixtures("home")
async def test_exit_codes_and_errors() -> None:
    on_sandbox = await in_process("call", BUSY, "Ask for the hours", "--yes", "--sandbox")
    other_time = await in_process("call", "+12025550101", *TABLE, "--accept-other-time", "--yes")
    busy = await in_process("call", BUSY, "Ask for the hours", "--yes")
    refused = await in_process("call", DO_NOT_CALL, "Ask for the hours", "--yes", "--json")
    unasked = await in_process("call", BISTRO, "Ask for the hours")
    wrong = await in_process("call", "415-555-1234", "Ask", "--party", "51", "--date", "2020-01-01", "--yes")
    nothing = await in_process("show", "t-none")

    assert other_time.exit_code == 0
    assert other_time.stdout.startswith("Booked for another time  Italian Bistro")
    assert re.search(r", 8:30 PM(, New York time)?\. You asked for ", other_time.stdout)
    assert busy.exit_code == on_sandbox.exit_code == 3
    assert busy.stdout.startswith("Not reached  +1 202-555-0103\n  The line was busy.\n")
    assert refused.exit_code == 1
    error = json.loads(refused.stdout)["error"]
    assert (error["code"], error["retryable"], error["placed"]) == ("suppression_violation", False, "no")
    assert unasked.exit_code == 1
    assert unasked.stderr.splitlines()[-1].startswith("Error: Not called: --yes is needed")
    assert wrong.exit_code == 2
    for words in ("NUMBER: ", "+14155551234", "--party: 51", "--date: "):
        assert words in wrong.stderr
    assert nothing.exit_code == 1


@pytest.mark.usefixtures("home")
async def test_who_is_not_asked_is_told_the_risks_in_words_that_fit() -> None:
    await in_process("call", BUSY, "Ask for the hours", "--yes")
    agreed = await in_process("call", BUSY, "Ask for the price", "--yes")
    unasked = await in_process("call", BUSY, "Ask for the menu")

    for shown in (agreed, unasked):
        assert "Call to +1 202-555-0103 (" in shown.stderr
        assert "  Risk: " in shown.stderr
        assert "this number was called within the last hour" in " ".join(shown.stderr.split())
        assert "You are asked" not in shown.stderr


@on_posix
async def test_on_a_terminal_the_user_sees_the_call_and_is_asked_and_again_if_the_number_was_called_meanwhile(
    home: Path,
) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    def session() -> tuple[int, str, int, str]:
        with on_terminal(home, "call", BISTRO, *TABLE, **signed_in()) as terminal:
            terminal.read_until("Place this call? [y/N]: ")
            terminal.type("n\n")
            no, refused = terminal.wait(), terminal.output
        with on_terminal(home, "call", BISTRO, *TABLE, **signed_in()) as terminal:
            terminal.read_until("Place this call? [y/N]: ")
            meanwhile = invoke("call", BISTRO, "Ask for the hours", "--yes")
            assert meanwhile.exit_code == 0, meanwhile.output
            terminal.type("y\n")
            terminal.read_until("this number was called within the last hour")
            terminal.type("y\n")
            return no, refused, terminal.wait(), terminal.output

    no, refused, yes, output = await anyio.to_thread.run_sync(session)
    listed = await in_process("calls", "--json")

    assert output.count("Place this call? [y/N]: ") == 2
    assert no == 1
    assert refused.rstrip().endswith("Error: Not called.")
    assert yes == 0, output
    assert "Calling Italian Bistro, +1 415-555-1234" in output
    assert "\x1b[" in output  # colors
    assert "KallyAI reports: " in output
    assert json.loads(listed.stdout)["total"] == 2


@on_posix
async def test_ctrl_c_at_the_question_ends_it_at_once_and_nobody_is_called(home: Path) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    def interrupted() -> tuple[int, str]:
        with on_terminal(home, "call", BISTRO, *TABLE, **signed_in()) as terminal:
            terminal.read_until("Place this call? [y/N]")
            terminal.process.send_signal(signal.SIGINT)
            return terminal.wait(), terminal.output

    code, output = await anyio.to_thread.run_sync(interrupted)

    assert code == 130
    assert output.endswith("\r\nNot called.\r\n")


@on_posix
async def test_ctrl_c_leaves_the_call_and_says_how_to_follow_it(home: Path, kallyai_sandbox: KallyAISandbox) -> None:
    async with httpx2.AsyncClient(base_url=f"{kallyai_sandbox.url}/_sandbox", timeout=LIMIT) as http:
        await http.put(f"line/{BISTRO}", json={"does": "is_played"})
        with started(home, "call", BISTRO, "Ask for the hours", "--yes", **signed_in()) as process:
            with anyio.fail_after(LIMIT):
                while not kallyai_sandbox.calls:  # noqa: ASYNC110 - there is no event to wait for
                    await anyio.sleep(0.01)
            (call,) = kallyai_sandbox.calls
            await http.post(f"play/calls/{call.call_id}/pick-up")
            process.send_signal(signal.SIGINT)
            _, words = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=LIMIT))
            await http.post(f"play/calls/{call.call_id}/hang-up")
    followed = await in_process("show", words.split()[-2], "--follow")
    listed = await in_process("calls", "--json")

    assert process.returncode == 130
    assert "The call goes on without this program. To follow it:\n  kallyai-mcp show t-" in words
    assert followed.exit_code == 0, followed.output
    assert "+1 415-555-1234" in followed.stdout
    assert json.loads(listed.stdout)["total"] == 1


@on_posix
async def test_on_a_terminal_without_color_the_list_is_plain_and_fits(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.cli.pseudo_terminal import on_terminal

    def session() -> str:
        with on_terminal(home, "calls", **signed_in()) as terminal:
            assert terminal.wait() == 0
            return terminal.output

    await in_process("call", BISTRO, *TABLE, "--yes")
    colored = await anyio.to_thread.run_sync(session)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = await anyio.to_thread.run_sync(session)

    assert "\x1b[32mBooked\x1b[0m" in colored
    assert "Booked  Italian Bistro, +1 415-555-1234" in plain
    assert "\x1b" not in plain
    assert all(len(line) <= 100 for line in plain.splitlines())
