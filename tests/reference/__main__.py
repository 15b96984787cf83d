"""Prints the lines of KallyAI's API reference that no statement of `statements` names.

    uv run python -m tests.reference FILE

Exits with 1 if there are such lines.
"""

import argparse
import re
import sys
from pathlib import Path

from tests.reference.statements import STATEMENTS

_NO_STATEMENT = re.compile(
    r"[-`{}\[\],\s|]*|```.*|#.*|[0-9]+\. \[.*|\|[- |]+\||\| (Method|Parameter|Scope|Param|Field|Code) \|.*"
    r"|Content-Type: .*|\*\*[\w ]+( \([^)]*\))?:?\*\*:?|(To refresh an expired|For CLI tools and AI agents).*"
    r'|\*\*Step [0-9]: .*\*\*|"(metadata|plan|error|details|submission)": \{'
)
"""Lines that state nothing themselves: titles, frames of blocks and tables, and labels of what follows."""


def lines_without_statement(reference: str) -> list[str]:
    """The lines of the reference that state something and are named by none of their section's statements."""
    section, left = "", []
    for raw in reference.splitlines():
        line = raw.strip()
        if heading := re.match(r"#+ (.+)", line):
            title = heading[1]
            section = max((name for name in STATEMENTS if title.startswith(name)), key=len, default=section)
        if not _NO_STATEMENT.fullmatch(line) and not any(words in line for words in STATEMENTS.get(section, ())):
            left.append(f"{section}: {line}")
    return left


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.reference", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", metavar="FILE", type=Path, help="KallyAI's API reference, in Markdown")
    found = lines_without_statement(parser.parse_args().file.read_text(encoding="utf-8"))
    print("\n".join(found) or "Every line of the reference is named by a statement.")
    sys.exit(bool(found))
