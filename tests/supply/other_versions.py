"""Runs a share of the tests with the oldest versions that pyproject.toml admits, or with the newest."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from tests.programs import run, run_well
from tests.supply.finding import Finding
from tests.supply.requirements import PYTHON, direct

SHARE = (
    "tests/api/test_connection.py",
    "tests/api/test_sending.py",
    "tests/auth/oauth_server/test_oauth_tokens.py",
    "tests/auth/test_auth_files.py",
    "tests/auth/test_auth_keyrings.py",
    "tests/auth/test_auth_loopback.py",
    "tests/cli/test_install.py",
    "tests/cli/test_serve.py::test_empty_settings_count_as_not_set_and_stderr_is_empty_when_all_is_well",
    "tests/calls/test_policy.py",
    "tests/calls/test_shared_values.py",
    "tests/sandbox/auth/test_browser_flow.py",
    "tests/sandbox/auth/test_tokens.py",
    "tests/sandbox/simulator",
    "tests/test_telemetry.py::test_calls_and_requests_are_counted_and_a_span_has_the_correlation_id_of_its_log_lines",
    "tests/tools/test_catalog.py",
    "tests/transports/test_uvicorn_server.py::test_an_app_that_fails_to_start_raises_a_startup_error",
    "tests/transports/test_access.py::test_too_many_requests_are_refused_with_the_time_to_wait",
    "tests/transports/test_two_servers.py::test_each_server_counts_its_own_rate",
)
"""Tests that use every dependency, and one for each bound that was once too low; none needs a browser or npm.

Those that need a PostgreSQL server are skipped where there is none.
"""


def lowest(_: str | None = None) -> Finding:
    """Run them on the oldest Python, with the oldest admitted version of each direct dependency."""
    if run(["uv", "python", "find", "--no-python-downloads", PYTHON]).returncode:
        return Finding("not checked", f"there is no Python {PYTHON} on this machine")
    return _run_tests(PYTHON, "lowest-direct")


def newest(python: str | None = None) -> Finding:
    """Run them with the newest version of every dependency.

    Args:
        python: A version or an interpreter's path, as for uv; by default the newest installed one.
    """
    return _run_tests(python or _newest_python(), "highest")


def _newest_python() -> str:
    listed = ["uv", "python", "list", "--only-installed", "--output-format", "json"]
    found: list[dict[str, Any]] = json.loads(run_well(listed).stdout)
    released = [
        (tuple(map(int, python["version"].split("."))), str(python["path"]))
        for python in found
        if python["implementation"] == "cpython" and python["variant"] == "default"
        if python["version"].replace(".", "").isdigit()
    ]
    return max(released)[1]


def _run_tests(python: str, resolution: Literal["lowest-direct", "highest"]) -> Finding:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        own = str(Path(folder) / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        run_well(["uv", "venv", "--quiet", "--allow-existing", "--python", python, folder])
        requirements = ("--requirements", "pyproject.toml", "--all-extras", "--group", "dev", "--editable", ".")
        run_well(["uv", "pip", "install", "--quiet", "--python", own, "--resolution", resolution, *requirements])
        which = "import platform; print(platform.python_version())"
        title = f"Python {run_well([own, '-c', which]).stdout.strip()}"
        options = ("-n", "0", "-q", "--tb=short", "-p", "no:cacheprovider")
        done = run([own, "-m", "pytest", *options, *SHARE])
        lines = done.stdout.strip().splitlines() or ["no output"]
        if not done.returncode:
            return Finding("passed", f"{title}: {lines[-1]}")
        versions = run_well(["uv", "pip", "list", "--python", own, "--format", "json"]).stdout
        used = [f"{package['name']} {package['version']}" for package in json.loads(versions)]
        direct_versions = ", ".join(package for package in used if package.split()[0] in direct())
        first = next((number for number, line in enumerate(lines) if line.startswith("=")), 0)  # after the dots
        output = [*lines[first:][-60:], *done.stderr.strip().splitlines()[-20:]]
        return Finding("failed", f"{title}: {lines[-1]}", [*output, f"with {direct_versions}"])
