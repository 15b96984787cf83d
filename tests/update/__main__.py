"""Writes every file, and every part of a page, that follows from something else.

Run it after any change: uv run python -m tests.update
"""

import os
import sys

import anyio

from tests.programs import ROOT
from tests.update.derived import as_it_stands, derived, leftover


def main() -> None:
    """Write what is old, and print its names."""
    # As in the tests: what is told does not depend on this machine's certificates.
    os.environ.setdefault("SSL_CERT_DIR", str(ROOT / "tests"))
    try:
        files = anyio.run(derived)
    except ValueError as error:
        sys.exit(str(error))
    old = [name for name, text in files.items() if as_it_stands(name) != text]
    for name in old:
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(files[name], encoding="utf-8")
        print(f"updated {name}")
    gone = leftover(files)
    for name in gone:
        (ROOT / name).unlink()
        print(f"deleted {name}")
    if not old and not gone:
        print("Nothing to update.")


if __name__ == "__main__":
    main()
