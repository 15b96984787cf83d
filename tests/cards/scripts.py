"""The functions of the cards' scripts that need no page, run by Node.js."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pytest

from kallyai_mcp.cards.pages import OF_CALL, OF_QUOTA
from kallyai_mcp.cards.pages import functions as functions_of_card
from tests.npm import missing
from tests.programs import run_well

_NAVIGATOR = 'globalThis.navigator ??= { languages: ["en-US"] };'
"""What the script needs of a browser; older versions of Node.js have none."""

_START = """
let card = START;
const can = { tools: true, places: true, downloads: true, links: true, messages: true };
const result = (structuredContent, isError = false) => ({ structuredContent, isError });
"""


@cache
def _functions(*, sandbox: bool) -> str:
    if reason := missing():
        pytest.skip(reason)
    return functions_of_card("call", *OF_CALL, READ_ONLY=False, SANDBOX=sandbox)


@cache
def _functions_of_quota() -> str:
    if reason := missing():
        pytest.skip(reason)
    return functions_of_card("quota", *OF_QUOTA, SANDBOX=False)


def value_of(expression: str, *steps: str, **given: Any) -> Any:
    """The value of a JavaScript expression after some steps; `given` are constants in both.

    They may use all functions of the card's script, what the card knows (`card`), what a host
    allows (`can`), and `result(structure, isError)`.
    """
    return _value_of(_functions(sandbox=False), expression, steps, given)


def value_in_sandbox(expression: str, *steps: str, **given: Any) -> Any:
    """`value_of` in a card whose calls are simulated."""
    return _value_of(_functions(sandbox=True), expression, steps, given)


def value_of_quota(expression: str, *steps: str, **given: Any) -> Any:
    """`value_of` in the quota card."""
    return _value_of(_functions_of_quota(), expression, steps, given)


def _value_of(
    functions: str, expression: str, steps: Sequence[str], given: Mapping[str, Any]
) -> Any:
    constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in given.items())
    body = "".join(f"{step};\n" for step in steps)
    program = (
        f'"use strict";\n{_NAVIGATOR}\n{functions}{_START}{constants}{body}'
        f"process.stdout.write(JSON.stringify({expression} ?? null));"
    )
    return json.loads(run_well(["node", "-"], stdin=program).stdout)
