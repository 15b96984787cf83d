"""Changing one member of a plain JSON text."""

import json
import random

import pytest

from kallyai_mcp.cli.clients import json_text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"a":1}', '{"a":1,"s":{"k":{"c":"x"}}}'),
        ('{"a": 1}', '{"a": 1, "s": {"k": {"c": "x"}}}'),
        ('{\n\t"a": 1\n}\n', '{\n\t"a": 1,\n\t"s": {\n\t\t"k": {\n\t\t\t"c": "x"\n\t\t}\n\t}\n}\n'),
        ('{\r\n  "s": {}\r\n}', '{\r\n  "s": {\r\n    "k": {\r\n      "c": "x"\r\n    }\r\n  }\r\n}'),
        ('{\n  "s": {\n    "o": 1\n  }\n}', '{\n  "s": {\n    "o": 1,\n    "k": {\n      "c": "x"\n    }\n  }\n}'),
        (" \n", '{\n  "s": {\n    "k": {\n      "c": "x"\n    }\n  }\n}\n'),
        ('{\n  "s": {"k": 1}\n}', '{\n  "s": {"k": {\n    "c": "x"\n  }}\n}'),
    ],
)
def test_an_added_entry_is_laid_out_like_the_rest(before: str, after: str) -> None:
    assert json_text.put(before, ("s", "k"), {"c": "x"}) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"s": {"a": 1, "k": 2, "b": 3}}', '{"s": {"a": 1, "b": 3}}'),
        ('{"s": {"k": 2, "b": 3}}', '{"s": {"b": 3}}'),
        ('{"s": {\n  "a": 1,\n  "k": 2\n}}', '{"s": {\n  "a": 1\n}}'),
        ('{"s": {\n  "k": 2\n}}', '{"s": {}}'),
        ('{"s": {"k": 1, "k": 2}}', '{"s": {}}'),
        ('{"s": 1}', '{"s": 1}'),
        ("", ""),
    ],
)
def test_a_removed_entry_leaves_its_neighbors_as_they_are(before: str, after: str) -> None:
    assert json_text.drop(before, ("s", "k")) == after


def test_any_json_file_is_as_it_was_after_the_entry_was_added_and_removed() -> None:
    chance = random.Random(7)  # noqa: S311 - for variety, not for secrecy

    def gap() -> str:
        return chance.choice(["", "", " ", "\n", "\n\t", "\r\n  "])

    def value(depth: int) -> str:
        kind = chance.randrange(6 if depth else 4)
        if kind < 4:
            return chance.choice(["1", "-2.5e3", "true", "null", '"a//b"', '"\\" }"', '"é"'])
        items = [
            (f'"{chance.randrange(99)}"{gap()}:{gap()}' if kind == 4 else "") + value(depth - 1) + gap()
            for _ in range(chance.randrange(4))
        ]
        inner = f",{gap()}".join(items)
        return f"{{{gap()}{inner}}}" if kind == 4 else f"[{gap()}{inner}]"

    for _ in range(400):
        members = [f'"m{number}"{gap()}:{gap()}{value(3)}{gap()}' for number in range(chance.randrange(1, 4))]
        text = f"{gap()}{{{gap()}{f',{gap()}'.join(members)}}}{gap()}"
        added = json_text.put(text, ("k",), {"c": ["x"]})

        assert json.loads(added) == json.loads(text) | {"k": {"c": ["x"]}}
        assert json_text.drop(added, ("k",)) == text
