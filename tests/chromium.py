"""Chromium, for the tests that need a real browser: one process for the whole test run."""

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.shared_process import shared_process

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NO_CHROMIUM = "there is no chromium on this machine (Debian: apt-get install chromium)"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    # All frames in one process: Playwright sometimes sets the language and time zone of another process too late.
    "--disable-site-isolation-trials",
    "--disable-features=IsolateOrigins,site-per-process,IsolateSandboxedIframes",
]
_OWN_FLAGS = [
    *("--headless", "--remote-debugging-port=0", "--no-first-run", "--hide-scrollbars", "--mute-audio"),
    # Each worker has a window of its own, and none may be slowed down because another one is in front.
    *("--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows"),
    *("--disable-renderer-backgrounding", "--force-color-profile=srgb", "--disable-dev-shm-usage"),
]
_SECONDS = 30


@contextlib.contextmanager
def _running() -> Iterator[str]:
    """Start Chromium, and end it; gives the address of its DevTools."""
    assert CHROMIUM is not None
    dying = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with tempfile.TemporaryDirectory(prefix="kallyai-chromium-", ignore_cleanup_errors=True) as profile:
        command = [*dying, CHROMIUM, *FLAGS, *_OWN_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            with process.stderr as log:
                found = next(filter(None, (re.search(r"listening on (ws://\S+)", line) for line in log)), None)
                assert found is not None, "Chromium does not start"
                yield found[1]
        finally:
            process.kill()
            process.wait(_SECONDS)


@pytest.fixture(scope="session")
def chromium_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the run's Chromium; the test is skipped on a machine without it."""
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    with shared_process(tmp_path_factory, "chromium", _running) as address:
        yield address


@pytest.fixture(scope="session")
async def chromium(chromium_address: str) -> AsyncIterator[Browser]:
    """The run's browser. Each test has a context of its own in it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(chromium_address)
        yield browser
        await browser.close()
