"""Chromium, for the tests that need a real browser: one process for the whole test run."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.shared_process import shared_process

if TYPE_CHECKING:
    from tests.playwright_names import Browser

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
NO_CHROMIUM = "there is no chromium on this machine (Debian: apt-get install chromium)"
NO_PLAYWRIGHT = "needs the dependency group `browser`: uv sync --group browser"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    # All frames in one process: Playwright sometimes sets the language and time zone of another
    # process too late.
    "--disable-site-isolation-trials",
    "--disable-features=IsolateOrigins,site-per-process,IsolateSandboxedIframes",
]
_SECONDS = 90


@contextlib.contextmanager
def _running() -> Iterator[str]:
    """Start Playwright's server with one Chromium, and end both; gives the server's address.

    It is not Chromium's own DevTools: each Playwright at it would set the media of all pages, also
    of other workers.
    """
    options = {"executablePath": CHROMIUM, "args": FLAGS, "headless": True, "host": "127.0.0.1"}
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "options.json"
        config.write_text(json.dumps(options))
        command = [
            sys.executable,
            "-m",
            "playwright",
            "launch-server",
            "--browser",
            "chromium",
            "--config",
            str(config),
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            assert process.stdout is not None
            with process.stdout as output:
                address = next((line.strip() for line in output if line.startswith("ws://")), None)
                assert address is not None, "Playwright's server does not start"
                yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(_SECONDS)


@pytest.fixture(scope="session")
def chromium_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the run's browser; the test is skipped without it, or without Playwright."""
    if find_spec("playwright") is None:
        pytest.skip(NO_PLAYWRIGHT)
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    with shared_process(tmp_path_factory, "chromium", _running) as address:
        yield address


@pytest.fixture(scope="session")
async def chromium(chromium_address: str) -> AsyncIterator["Browser"]:
    """The run's browser. Each test has a context of its own in it."""
    # Late: every test run imports this module.
    from tests.playwright_names import async_playwright, expect

    expect.set_options(timeout=1000 * _SECONDS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect(chromium_address)
        yield browser
        await browser.close()
