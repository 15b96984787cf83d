"""The tasks are enough, each has three phrasings and a gold run, and each grader has a bad run that it must fail."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.evals.facts import facts_in
from tests.evals.graders import GRADERS
from tests.evals.task import Task, chosen, is_pattern, load_tasks

TASKS = load_tasks()

WORDS = {
    "tomorrow": "tmrw", "1": "one", "2": "two|dos|couple", "3": "three|tres", "4": "four|cuatro", "5": "five|cinco",
    "6": "six|seis", "7": "seven|siete", "8": "eight|ocho", "9 am": "morning at nine", "las 9": "las nueve",
    "9": "nine", "11": "eleven", "12": "twelve", "21:00": "21h", "january 28": "the 28th",
    "do not agree": "no other time|or nothing|only 7pm", "the closest": "close to|another time near|flexible",
}  # fmt: skip
"""How the phrasings say what `facts_in` reads only in figures."""

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


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_each_phrasing_says_what_the_graders_demand_of_the_calls(task: Task) -> None:
    replies = [reply.says for reply in task.reply]
    missing = [
        f"{phrasing}: {name} {value!r}"
        for phrasing in task.phrasings
        for name, value in demanded(task)
        if not says(". ".join([phrasing, *replies]), name, value)
    ]

    assert missing == []


def demanded(task: Task) -> Iterator[tuple[str, Any]]:
    """What the calls must have that only the user knows."""
    for call in task.expect.calls:
        yield "number", call.number
        if call.due is not None:
            yield from (("due day", f"{call.due:%Y-%m-%d}"), ("due time", f"{call.due:%H:%M}"))
        for name, value in call.fields.items():
            if name not in ("task_category", "spoken"):
                yield name, value


def says(text: str, name: str, value: Any) -> bool:
    """Whether a text says a fact, or has the words of a pattern."""
    words = re.sub(r"\bla una\b", "las 1", text.lower())
    for plain, spoken in WORDS.items():
        words = re.sub(rf"\b(?:{spoken})\b", plain, words)
    if name == "number" and value[1:2] == "1" and value[2:5] in words:  # the area code may be said by itself
        return value[5:] in re.sub(r"\D", "", words)
    if isinstance(value, str) and is_pattern(value):
        return re.search(value[1:-1], f"{text} {words}", re.IGNORECASE) is not None
    if needed := facts_in(str(value)):
        known = facts_in(words, relative=True)
        return all(any(fact.follows_from(other) for other in known) for fact in needed)
    return re.search(rf"(?<![\d/-]){re.escape(str(value).lower())}(?![\d:/-]|\s?[ap]m\b)", words) is not None
