"""Prints the lines of KallyAI's API reference that no case states.

    uv run python -m tests.reference FILE

Exits with 1 if there are such lines.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from tests.reference.cases import CASES, STATED

_NO_STATEMENT = re.compile(
    r"[-`{}\[\],\s|]*|```.*|#.*|[0-9]+\. \[.*|\|[- |]+\||\| "
    r"(Method|Parameter|Scope|Param|Field|Code) \|.*"
    r"|Content-Type: .*|\*\*[\w ]+( \([^)]*\))?:?\*\*:?|(To refresh an expired|For CLI tools and "
    r"AI agents).*"
    r'|\*\*Step [0-9]: .*\*\*|"(metadata|plan|error|details|submission)": \{'
)
"""Lines that state nothing themselves: titles, frames of blocks and tables, and labels of what
follows.
"""


def keys(payload: Any) -> set[str]:
    """The keys of a payload, at any depth, as the reference writes them."""
    if isinstance(payload, dict):
        return {f'"{key}"' for key in payload} | set[str]().union(*map(keys, payload.values()))
    return set[str]().union(*map(keys, payload)) if isinstance(payload, list) else set()


def stated_in(section: str) -> set[str]:
    """The statements of a section, and the fields of the payloads that its answers are compared
    with.
    """
    likes = {ask.like for asks in CASES.get(section, {}).values() for ask in asks if ask.like}
    payloads = [
        json.loads((Path(__file__).parent / f"{like}.json").read_text(encoding="utf-8"))
        for like in likes
    ]
    return {words for name, words in STATED if name == section} | set[str]().union(
        *map(keys, payloads)
    )


def lines_without_statement(reference: str) -> list[str]:
    """The lines of the reference that state something and are named by none of their section's
    statements.
    """
    section, left, sections = "", [], {name for name, _ in STATED}
    for raw in reference.splitlines():
        line = raw.strip()
        if heading := re.match(r"#+ (.+)", line):
            title = heading[1]
            section = max(
                (name for name in sections if title.startswith(name)), key=len, default=section
            )
        if not _NO_STATEMENT.fullmatch(line) and not any(
            words in line for words in stated_in(section)
        ):
            left.append(f"{section}: {line}")
    return left


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.reference", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="KallyAI's API reference, in Markdown"
    )
    found = lines_without_statement(parser.parse_args().file.read_text(encoding="utf-8"))
    print("\n".join(found) or "A case states every line of the reference.")
    sys.exit(bool(found))
