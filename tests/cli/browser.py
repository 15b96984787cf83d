"""A program for the environment variable BROWSER: `python -m tests.cli.browser LINK` signs in to the sandbox.

It writes the names of its environment variables to the file that the variable INHERITED names.
"""

import os
import sys
from pathlib import Path

from tests.sandbox.auth import browser_client

if __name__ == "__main__":
    if path := os.environ.get("INHERITED"):
        Path(path).write_text("\n".join(os.environ), encoding="utf-8")
    browser_client.sign_in(sys.argv[1])
