"""Fixtures of most tests: a clock that tests set, a sandbox, and an agent."""

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kallyai_mcp.sandbox.app import SandboxApp, create_app
from kallyai_mcp.settings import Settings
from tests import forked_python, short_pauses
from tests.agent import Agent, open_agent, settings_in
from tests.chromium import chromium, chromium_address
from tests.postgres_server import database_url, own_database, own_postgres, postgres
from tests.sandbox.manual_clock import ManualClock

__all__ = ["chromium", "chromium_address", "database_url", "own_database", "own_postgres", "postgres"]


MEMORY = Path("/dev/shm")  # noqa: S108 - tempfile makes a folder in it
"""Where Linux has files in memory."""

ENOUGH = 4 << 30
"""Bytes; the tests need a part of them."""

IN_MEMORY_PREFIX = "kallyai-tests-"

LONGEST = ("transports/test_database_failures.py", "faults/test_faults.py")
"""Modules with tests that wait ten seconds."""

IN_MEMORY = pytest.StashKey[Path]()
FAILED = pytest.StashKey[bool]()


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell; tested programs would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Let the processes that the tests start keep their bytecode; keep temporary files in memory.

    Compiling is half of the time that they take. The ledgers wait for the disk at each write, a fifth of a test's time.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and a command takes it for the width of a console
    # Every client reads all certificates that the system trusts, which takes 7 to 18 ms; this folder has none.
    os.environ.pop("SSL_CERT_FILE", None)
    os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)
    forked_python.install()
    short_pauses.install()
    # Until all tests are collected: that leaves hardly any garbage, and to look for it takes a fifth of the time.
    gc.disable()
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH:
        for left in MEMORY.glob(f"{IN_MEMORY_PREFIX}*"):  # by a run that failed: its files stay until the next run
            if not Path("/proc", left.name.split("-")[2]).is_dir():
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{IN_MEMORY_PREFIX}{os.getpid()}-", dir=MEMORY))
        folder.chmod(0o711)  # PostgreSQL runs as another user
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        config.stash[IN_MEMORY] = folder


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the files in memory, unless a test failed."""
    folder = config.stash.get(IN_MEMORY, None)
    if folder is not None:
        del os.environ["TMPDIR"]
        tempfile.tempdir = None
        if not config.stash.get(FAILED, False):
            shutil.rmtree(folder, ignore_errors=True)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Twice the number of processors: a test waits half of its time for sockets, disks, and processes."""
    del config
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first; at the end they would run alone, while the other processes have nothing to do.

    Each process gets an equal part of the tests in this order. The tests in a browser are next to each other where a
    part begins: a process that has one of them starts Playwright and opens a tab, which takes longer than ten tests.
    """
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONGEST))
    in_browser, others = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        (in_browser if "chromium" in getattr(item, "fixturenames", ()) else others).append(item)
    middle = len(items) // 2
    items[:] = [*others[:middle], *in_browser, *others[middle:]]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let the garbage collector leave out what was imported and collected.

    Otherwise it looks for all garbage so seldom that the tasks of hundreds of tests stay; asyncio looks at all of them.
    """
    if "hypothesis" in sys.modules:
        _run_one_example()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Look for garbage from now on, also in the process that starts the workers and collects nothing."""
    gc.enable()


def _run_one_example() -> None:
    """Let Hypothesis make its random numbers now.

    On Python 3.14 and newer it can't find, with the first example, who refers to them in what the collector leaves out.
    """
    from hypothesis import given, settings, strategies

    settings(max_examples=1, database=None, deadline=None)(given(strategies.none())(lambda _: None))()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--no-skips`, which fails the run when a test was skipped: CI installs every program that the tests need."""
    parser.addoption("--no-skips", action="store_true", help="fail the run when a test was skipped")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """With `--no-skips`, report how many tests were skipped."""
    if config.getoption("--no-skips") and (skipped := terminalreporter.stats.get("skipped")):
        terminalreporter.write_line(f"--no-skips: {len(skipped)} tests were skipped; the reasons are above", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With `--no-skips`, fail a run that skipped a test."""
    session.config.stash[FAILED] = session.exitstatus != pytest.ExitCode.OK
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")  # None in the workers of xdist
    if session.config.getoption("--no-skips") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"  # uvicorn supports no other


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 25, 15, 30, tzinfo=UTC))


@pytest.fixture
def app(clock: ManualClock) -> Iterator[SandboxApp]:
    app = create_app(clock=clock)
    yield app
    app.state.sandbox.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """The two protocol generations: 2026-07-28 by discovery, 2025-11-25 by handshake."""
    mode: str = request.param
    return mode


@pytest.fixture
async def agent(settings: Settings, mode: str, clock: ManualClock, app: SandboxApp) -> AsyncIterator[Agent]:
    """An agent of the sandbox; each test that uses it runs in both protocol generations."""
    async with open_agent(settings, mode=mode, clock=clock, app=app) as agent:
        yield agent
