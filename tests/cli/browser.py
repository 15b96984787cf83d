"""A browser for the environment variable BROWSER: `python -m tests.cli.browser LINK` signs in at the sandbox."""

import sys

from kallyai_mcp.sandbox import visitor

if __name__ == "__main__":
    visitor.sign_in(sys.argv[1])
