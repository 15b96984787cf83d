"""The tasks are enough, each has three phrasings and a gold run, and each grader has a bad run that it must fail."""

from pathlib import Path

import pytest

from tests.evals.graders import GRADERS
from tests.evals.task import chosen, load_tasks

TASKS = load_tasks()

TASK = """
[[task]]
id = "{id}"
phrasings = ["a", "b", "c"]
expect = {{ {expect} }}
gold = [{{ says = "Done." }}]
"""


def test_there_are_over_seventy_tasks_as_the_docs_say() -> None:
    assert len(TASKS) > 70


def test_each_grader_has_a_bad_run() -> None:
    assert {grader for task in TASKS for bad in task.bad for grader in bad.fails} == set(GRADERS)


def test_the_gold_run_of_a_task_ends_with_words() -> None:
    assert [task.id for task in TASKS if task.gold[-1].says is None] == []


def test_tasks_are_chosen_by_id_and_by_theme() -> None:
    first = TASKS[0]

    assert chosen(TASKS, [first.id]) == [first]
    assert first in chosen(TASKS, [first.theme])
    assert chosen(TASKS, []) == TASKS
    with pytest.raises(ValueError, match="no task and no theme is called nonsense"):
        chosen(TASKS, ["nonsense"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TASK.format(id="one", expect='states = ["soon"]'), "theme.toml: .*'soon' is not one fact"),
        (TASK.format(id="one", expect='states = ["9:30"]'), "'9:30' is not one fact"),
        (TASK.format(id="one", expect='after = ["consent"]'), "theme.toml: .*`after` names no reply: consent"),
        (TASK.format(id="one", expect="") * 2, "the id of more than one task: one"),
        ("[[task]", "theme.toml"),
    ],
)
def test_a_task_that_is_not_valid_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "theme.toml").write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match=f"(?s){message}"):
        load_tasks(tmp_path)
