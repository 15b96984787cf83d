"""The tasks in the format of Harbor, and one of them run here as in its container."""

import json
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from kallyai_mcp.evals.__main__ import main
from kallyai_mcp.evals.harbor.__main__ import main as in_container
from kallyai_mcp.evals.harbor.export import can_be_exported, export
from kallyai_mcp.evals.harbor.phone import uses_in
from kallyai_mcp.evals.record import ToolUse
from kallyai_mcp.evals.task_files import Expectation, Task, load_tasks
from tests.programs import own_environment, run_well

TASKS = {task.id: task for task in load_tasks()}


class Container:
    """The folders of a task's container, under a folder of this machine."""

    def __init__(self, task: Path, root: Path) -> None:
        self._root = root
        for name in ("app", "opt/phone", "bin"):
            (root / name).mkdir(parents=True)
        for name in ("tests", "solution"):
            shutil.copytree(task / name, root / name)
        shutil.copy(task / "environment" / "task.json", root / "opt" / "phone")
        for script in root.glob("*/*.sh"):
            script.write_text(self._here(script.read_text("utf-8")), encoding="utf-8")
        python = root / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        self.toml = tomllib.loads(self._here((task / "task.toml").read_text("utf-8")))

    def _here(self, text: str) -> str:
        """A text with the container's folders under the root."""
        return re.sub(r"(?<![\w.])/(app|opt|tests|solution|logs)\b", rf"{self._root}/\1", text)

    def run(self, script: str) -> None:
        """Run a script of the task."""
        path = f"{self._root}/bin{os.pathsep}{os.environ['PATH']}"
        variables = own_environment() | {"PATH": path}
        run_well(["sh", self._root / script], folder=self._root, variables=variables)

    def rewards(self) -> dict[str, int]:
        """What the task's test finds."""
        self.run("tests/test.sh")
        file = self._root / "logs" / "verifier" / "reward.json"
        found: dict[str, int] = json.loads(file.read_text("utf-8"))
        return found


def container_of(name: str, folder: Path) -> Container:
    (task,) = export([TASKS[name]], folder / "tasks")
    return Container(task, folder / "root")


@pytest.mark.programs
@pytest.mark.skipif(sys.platform == "win32", reason="the containers are of Linux")
@pytest.mark.parametrize("name", ["more-move", "later-tomorrow"])
def test_an_exported_tasks_right_run_has_the_reward(name: str, tmp_path: Path) -> None:
    container = container_of(name, tmp_path)
    container.run("solution/solve.sh")
    rewards = container.rewards()

    assert rewards["reward"] == 1
    assert (rewards["done"], rewards["extra_calls"], rewards["unsupported"]) == (1, 0, 0)


@pytest.mark.programs
@pytest.mark.skipif(sys.platform == "win32", reason="the containers are of Linux")
def test_an_unused_container_has_no_reward(tmp_path: Path) -> None:
    rewards = container_of("more-move", tmp_path).rewards()

    assert (rewards["reward"], rewards["done"], rewards["stated"]) == (0, 0, 0)


def test_the_messages_show_which_tools_were_used(tmp_path: Path) -> None:
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 1, "result": {"tools": []}},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "get_call"}},
        {"jsonrpc": "2.0", "id": 2, "result": {"content": [{"type": "text", "text": "Booked"}]}},
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}},
    ]
    file = tmp_path / "messages.jsonl"
    file.write_text("\n".join(map(json.dumps, messages)), encoding="utf-8")

    assert uses_in(file) == [ToolUse(tool="get_call", text="Booked")]
    assert uses_in(tmp_path / "none") == []


def test_the_grading_prints_all_scores(tmp_path: Path) -> None:
    (task,) = export([TASKS["what-was-called"]], tmp_path / "tasks")
    answer, phone = tmp_path / "answer.txt", tmp_path / "phone"
    answer.write_text("Yes, I called Italian Bistro.", encoding="utf-8")
    phone.mkdir()
    file = task / "tests" / "task.json"
    shown = CliRunner().invoke(in_container, ["grade", str(file), str(phone), str(answer)])
    rewards = json.loads(shown.output)

    assert (rewards["reward"], rewards["done"], rewards["untrue"]) == (0, 1, 1)


def test_the_container_does_not_know_what_is_expected(tmp_path: Path) -> None:
    (task,) = export([TASKS["ask-hours"]], tmp_path)
    known = Task.model_validate_json((task / "environment" / "task.json").read_text("utf-8"))

    assert known.line == TASKS["ask-hours"].line
    assert known.expect == Expectation()
    assert known.phrasings == ("", "", "")


def test_tasks_with_a_users_reply_stay() -> None:
    assert not can_be_exported(TASKS["missing-number"])
    assert not can_be_exported(TASKS["time-out-booking"])
    assert can_be_exported(TASKS["book-table"])


def test_a_container_can_install_a_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "kallyai_mcp-1.0-py3-none-any.whl"
    wheel.touch()
    (task,) = export([TASKS["book-table"]], tmp_path / "tasks", wheel)
    lines = (task / "environment" / "Dockerfile").read_text("utf-8").splitlines()

    assert lines[1] == f'COPY ["{wheel.name}", "/opt/"]'
    assert lines[2] == f"RUN pip install '/opt/{wheel.name}[sandbox]'"
    assert (task / "environment" / wheel.name).exists()


def test_the_command_overwrites_nothing(tmp_path: Path) -> None:
    first = CliRunner().invoke(main, ["export", str(tmp_path)])
    second = CliRunner().invoke(main, ["export", str(tmp_path)])

    assert first.output.startswith(f"{len(list(tmp_path.iterdir()))} of {len(TASKS)} tasks are in")
    assert second.exit_code == 1
    assert "exists; choose another folder" in second.output
