"""Writes tasks as folders in Harbor's format."""

import json
import shlex
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kallyai_mcp import __version__
from kallyai_mcp.evals.bench import SITUATION
from kallyai_mcp.evals.harbor.places import ANSWER, PHONE, TASK
from kallyai_mcp.evals.task_files import Task, script_of
from kallyai_mcp.server.build import INSTRUCTIONS

_PROGRAM = "python -m kallyai_mcp.evals.harbor"

_TASK_TOML = """\
schema_version = "1.1"

[task]
name = "kallyai-mcp/{id}"
description = {description}
keywords = ["phone", "mcp", "{suite}", "{theme}"]

[agent]
timeout_sec = 900.0

[verifier]
timeout_sec = 120.0

[environment]
build_timeout_sec = 600.0

[[environment.mcp_servers]]
name = "kallyai"
transport = "stdio"
command = "python"
args = ["-m", "kallyai_mcp.evals.harbor", "phone", "{phone}"]
"""

_INSTRUCTION = """\
{situation}
{instructions}

Ada can't be asked anything now. Write what you tell her to the file `{answer}`.

Ada says: {words}
"""

_DOCKERFILE = """\
FROM python:3.13-slim
{install}
COPY {task} {phone}/{task}
WORKDIR /app
"""

_TEST = """\
#!/bin/sh
set -e
mkdir -p /logs/verifier
{program} grade /tests/{task} {phone} {answer} >/logs/verifier/reward.json
cat /logs/verifier/reward.json
"""

_SOLVE = """\
#!/bin/sh
set -e
{program} solve /solution/steps.json {phone} {answer}
"""


def can_be_exported(task: Task) -> bool:
    """Whether a task needs no user who replies, and no time that passes while a call goes on."""
    answers = [step for step in task.gold if step.says is not None]
    return len(answers) == 1 and not task.is_slow


def export(tasks: Iterable[Task], folder: Path, wheel: Path | None = None) -> list[Path]:
    """Write each task that can be exported into a folder of its own in `folder`; returns these.

    `wheel` is the package that the containers install; None for the one in the package index.
    Raises `FileExistsError` for a folder that exists.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(task, folder, wheel) for task in tasks if can_be_exported(task)]


def _write(task: Task, folder: Path, wheel: Path | None) -> Path:
    own = folder / task.id
    files: Mapping[str, str] = {
        "task.toml": _TASK_TOML.format(
            id=task.id,
            suite=task.suite,
            theme=task.theme,
            description=json.dumps(task.phrasings[0]),
            phone=PHONE,
        ),
        "instruction.md": _INSTRUCTION.format(
            situation=SITUATION, instructions=INSTRUCTIONS, answer=ANSWER, words=task.phrasings[0]
        ),
        "environment/Dockerfile": _DOCKERFILE.format(
            install=_install(wheel), task=TASK, phone=PHONE
        ),
        f"environment/{TASK}": _json(_without_expectation(task)),
        "tests/test.sh": _TEST.format(program=_PROGRAM, task=TASK, phone=PHONE, answer=ANSWER),
        f"tests/{TASK}": _json(task.model_dump(mode="json", exclude_defaults=True)),
        "solution/solve.sh": _SOLVE.format(program=_PROGRAM, phone=PHONE, answer=ANSWER),
        "solution/steps.json": _json(script_of(task.gold)),
    }
    own.mkdir()
    for name, text in files.items():
        file = own / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        if file.suffix == ".sh":
            file.chmod(0o755)
    if wheel is not None:
        shutil.copy(wheel, own / "environment")
    return own


def _install(wheel: Path | None) -> str:
    """The lines of a Dockerfile that install the program."""
    if wheel is None:
        return f'RUN pip install "kallyai-mcp[sandbox]=={__version__}"'
    copy = f"COPY {json.dumps([wheel.name, '/opt/'])}"
    return f"{copy}\nRUN pip install {shlex.quote(f'/opt/{wheel.name}[sandbox]')}"


def _without_expectation(task: Task) -> dict[str, Any]:
    """The task as its container may know it: what happens on the lines, and no more."""
    hidden = {"expect", "gold", "also_right", "bad", "reply", "phrasings"}
    known = task.model_dump(mode="json", exclude_defaults=True, exclude=hidden)
    nothing = {"expect": {}, "gold": [{"says": ""}], "phrasings": ["", "", ""]}
    return known | nothing


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
