"""Each statement of the reference, against the sandbox."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.reference.cases import CASES, Ask
from tests.reference.conftest import Service

_FORMATS = (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", r"\d\d:\d\d:\d\d", r"https://.+")


def check_shape(actual: Any, example: Any) -> None:
    """Check that a payload has the same keys as an example, and values of the same JSON types and
    formats.
    """
    number = (int, float)
    if isinstance(example, bool) or not isinstance(example, number):
        assert type(actual) is type(example)
    else:
        assert isinstance(actual, number)
        assert not isinstance(actual, bool)
    if isinstance(example, dict):
        added = actual.keys() - example.keys() - {"error"}  # a 402 has `error`, too
        differing = added | (example.keys() - actual.keys())
        assert not differing, f"{sorted(differing)}: correct the example in tests/reference/*.json"
        for key, value in example.items():
            if key != "submission":  # what was sent
                check_shape(actual[key], value)
    if isinstance(example, list):
        for item in actual:
            check_shape(item, example[0])
    if isinstance(example, str):
        assert all(
            re.fullmatch(form.replace("s:", "s?:"), actual)
            for form in _FORMATS
            if re.fullmatch(form, example)
        )


def check(response: httpx2.Response, ask: Ask) -> None:
    assert response.status_code == ask.status, response.text
    answer: Any = response.json() if "json" in response.headers["content-type"] else response.text
    if response.is_error:
        assert (answer["error"]["code"] == ask.code) is bool(ask.code), answer
        assert answer["error"]["details"]["reason"]
    if ask.like:
        check_shape(
            answer,
            json.loads(Path(__file__).with_name(f"{ask.like}.json").read_text(encoding="utf-8")),
        )
    assert ask.holds(answer), answer


@pytest.mark.parametrize("section", CASES)
def test_the_sandbox_does_what_the_reference_states(service: Service, section: str) -> None:
    for asks in CASES[section].values():
        for ask in asks:
            check(service.send(ask), ask)
