"""How all tests are run. Their fixtures are in `tests.fixtures`."""

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest
from anyio import pytest_plugin

TESTS = Path(__file__).parent

MEMORY = Path("/dev/shm")  # noqa: S108 - tempfile makes a folder in it
"""Where Linux has files in memory."""

ENOUGH = 4 << 30
"""Bytes; the tests need a part of them."""

STARTED = {Path(sys.executable).name, "kallyai-mcp", "bash", "sh"}
"""Programs that take a second or more in a test."""


# In the background of a shell; tested programs would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Until the tests are collected: imports leave no garbage, and looking for it takes a tenth of their
# time.
gc.disable()


def pytest_configure(config: pytest.Config) -> None:
    """Let the processes that the tests start keep their bytecode; keep temporary files in memory.

    Compiling is half of the time that they take. The ledgers wait for the disk at each write, a
    fifth of a test's time.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Pytest-xdist sets it, and a command takes it for the width of a console.
    os.environ.pop("COLUMNS", None)
    # Every client reads all certificates that the system trusts, which takes 7 to 18 ms; this
    # folder has none.
    os.environ.pop("SSL_CERT_FILE", None)
    os.environ["SSL_CERT_DIR"] = str(TESTS)
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH:
        folder = tempfile.TemporaryDirectory(
            prefix="kallyai-tests-", dir=MEMORY, ignore_cleanup_errors=True
        )
        Path(folder.name).chmod(0o711)  # PostgreSQL runs as another user
        os.environ["TMPDIR"] = tempfile.tempdir = folder.name
        config.add_cleanup(folder.cleanup)


# Where sniffio is installed, as with Inspect AI, AnyIO's plug-in notes there that its loop runs, as
# long as an asynchronous fixture of a module lives. Then no test that is no coroutine could start a
# loop of its own, which happened in some orders of the tests.
vars(pytest_plugin)["set_current_async_library"] = lambda _: None


@pytest.hookimpl(trylast=True)  # pytest-cov begins to measure in this hook, too
def pytest_sessionstart(session: pytest.Session) -> None:
    """Load the fixtures, except in the process that only starts the workers: importing what they
    need takes a second.

    In a fresh clone it loads them too, so that not each worker compiles what they import.
    """
    only_starts_workers = session.config.pluginmanager.hasplugin("dsession")
    is_compiled = Path(cache_from_source(str(TESTS / "fixtures.py"))).exists()
    if not (only_starts_workers and is_compiled):
        session.config.pluginmanager.register(import_module("tests.fixtures"))


def pytest_collection_finish() -> None:
    """Let the garbage collector run again, without what lives until the end; looking at that takes
    an eighth of the time of the tests.
    """
    gc.freeze()
    gc.set_threshold(20_000)  # as in a server over HTTP
    gc.enable()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Twice the number of processors: a test waits half of its time for sockets, disks, and
    processes.
    """
    del config
    return 2 * (os.cpu_count() or 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--all`, and `--no-skips`, with which CI runs: it installs everything that the tests
    need.
    """
    parser.addoption("--all", action="store_true", help="run also the tests that start programs")
    parser.addoption("--no-skips", action="store_true", help="fail the run when a test was skipped")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that start programs, and put those in a browser next to each other, and
    so into one worker of xdist: each further one would take about a second to start Playwright.
    """
    left_out = [item for item in items if not _is_asked_for(item, config)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: not _is_in_browser(item))


def _is_in_browser(item: pytest.Item) -> bool:
    """Whether a test uses the Chromium of this run."""
    return "chromium" in getattr(item, "fixturenames", ())


def _is_asked_for(item: pytest.Item, config: pytest.Config) -> bool:
    """Whether a test is run: with `--all`, or in a file that is named, also one that starts
    programs.
    """
    if item.get_closest_marker("programs") is None or config.getoption("--all"):
        return True
    named = (config.invocation_params.dir / arg.split("::")[0] for arg in config.args)
    return item.path in named


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note which test runs, for `_refuse_unmarked_programs`."""
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.remove(item)


_running: list[pytest.Item] = []
"""The test that runs, if one does."""


def _refuse_unmarked_programs(event: str, arguments: tuple[Any, ...]) -> None:
    """Fail a test that starts Python or a shell and has no mark: some are half of the suite's
    time, and nobody would see which.
    """
    if event != "subprocess.Popen" or not _running or _may_start_programs(_running[-1]):
        return
    program = Path(os.fsdecode(arguments[0]))
    if program.name in STARTED:
        raise RuntimeError(f"the test starts {program.name}: mark it with @pytest.mark.programs")


def _may_start_programs(item: pytest.Item) -> bool:
    """Whether a test has the mark, or is perhaps the first that starts the run's Chromium."""
    return item.get_closest_marker("programs") is not None or _is_in_browser(item)


sys.addaudithook(_refuse_unmarked_programs)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what did not run: a line for each reason, where pytest's own has one for each test."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}")
    config = terminalreporter.config
    if not config.getoption("--all") and config.args_source is not config.ArgsSource.ARGS:
        terminalreporter.write_line("Left out: tests that start programs; pytest --all runs them")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With `--no-skips`, fail a run that skipped a test."""
    # None in the workers of xdist.
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if (
        session.config.getoption("--no-skips")
        and reporter is not None
        and reporter.stats.get("skipped")
    ):
        reporter.write_line("\n--no-skips: tests were skipped; the reasons are below", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def one_generation() -> str:
    """The protocol generation of a module whose tests don't depend on it: `mode =
    pytest.fixture(one_generation)`.
    """
    return "auto"
