"""The functions of the call card's script that need no page, run by Node.js."""

import json
from functools import cache
from typing import Any

import pytest

from kallyai_mcp.cards.pages import OF_CALL, functions
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
def _functions() -> str:
    if reason := missing():
        pytest.skip(reason)
    return functions("call", *OF_CALL, READ_ONLY=False, SANDBOX=False)


def value_of(expression: str, *steps: str, **given: Any) -> Any:
    """The value of a JavaScript expression after some steps; `given` are constants in both.

    They may use all functions of the card's script, what the card knows (`card`), what a host
    allows (`can`), and `result(structure, isError)`.
    """
    constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in given.items())
    body = "".join(f"{step};\n" for step in steps)
    program = (
        f'"use strict";\n{_NAVIGATOR}\n{_functions()}{_START}{constants}{body}'
        f"process.stdout.write(JSON.stringify({expression} ?? null));"
    )
    return json.loads(run_well(["node", "-"], stdin=program).stdout)
