"""Scenario files: what they may say, and what is said about one that is not valid."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kallyai_mcp.sandbox.simulator.scenario_file import ScenarioFileError, read_scenarios
from tests.cli.machine import run_in_process
from tests.docs.pages import fenced
from tests.sandbox.conftest import RequestBody
from tests.sandbox.sandbox_app import client_of, sandbox_app

NUMBER = "+12025550142"


def test_each_problem_is_named_with_its_place() -> None:
    line = f'[[line]]\nnumber = "{NUMBER}"'
    for text, *problems in (
        ("line = ", "not valid TOML: Invalid value (at end of document)"),
        ("[[lines]]", "lines: there is no such key"),
        ('[[line]]\ndoes = "agrees"', "line 1 number: this key is missing"),
        (f'{line}\ndos = "agrees"', f"line 1 ({NUMBER}) dos: there is no such key"),
        (f'{line}\ndoes = "answers"', f"line 1 ({NUMBER}): `answers` needs `answer`"),
        (f'{line}\nknows = {{ Hours = "At 9" }}', f"line 1 ({NUMBER}) knows.Hours"),
        (f'{line}\nturns = ["Hm", {{ en = "A" }}]', f"line 1 ({NUMBER}) turns.2"),
        (f"{line}\n{line}", f"more than one [[line]] has the number {NUMBER}"),
        (
            f'{line}\ndoes = "sings"\n[[line]]\nnumber = "+12025550143"\nat = "8 PM"',
            f"line 1 ({NUMBER}) does: should be 'agrees', ",
            "line 2 (+12025550143) at: must be a time in the format HH:MM",
        ),
    ):
        with pytest.raises(ScenarioFileError) as caught:
            read_scenarios(text)
        assert all(problem in str(caught.value) for problem in problems), text


async def test_the_docs_example_of_scenarios_works(body: RequestBody) -> None:
    (example,) = fenced("docs/testing-agents.md", "toml")
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    asked = body(respondent_phone=NUMBER, appointment_date=str(day))
    with sandbox_app(speed=1e9, lines=read_scenarios(example)) as app:
        headers = {"Authorization": f"Bearer {app.state.sandbox.issue_tokens()['access_token']}"}
        async with client_of(app, headers=headers) as client:
            first, second = [(await client.post("/v1/calls", json=asked)).json() for _ in range(2)]
            transcript = (await client.get(f"/v1/calls/{second['call_id']}/transcript")).json()

    assert first["status"] == "busy"
    assert "Nothing was booked" in second["highlights"]
    said = [entry["content"] for entry in transcript["entries"] if entry["speaker"] == "HUMAN"]
    assert "One moment, I have to ask the chef." in said


def test_the_command_names_the_file_and_its_problems(tmp_path: Path) -> None:
    file = tmp_path / "lines.toml"
    file.write_text(f'[[line]]\nnumber = "{NUMBER}"\ndoes = "sings"\n', encoding="utf-8")
    done = run_in_process(tmp_path, "sandbox", "--port", "0", "--scenarios", str(file))

    assert done.returncode == 1
    assert done.stderr.startswith(
        f"Error: {file} is not a valid scenario file:\n  line 1 ({NUMBER}) does: should be"
    )
