"""A program for the environment variable BROWSER: `python -m tests.cli.browser LINK` signs in to the sandbox."""

import sys

from kallyai_mcp.sandbox import browser_client

if __name__ == "__main__":
    browser_client.sign_in(sys.argv[1])
