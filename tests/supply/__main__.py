"""Checks this project's dependencies: vulnerabilities, licenses, pins, and the range of versions.

    uv run python -m tests.supply [--python PYTHON] [PART ...]

The parts: `audit` asks pip-audit for known vulnerabilities of the pinned versions; `licenses` compares
.ci/dependencies.toml with pyproject.toml, the pins, and the installed metadata; `lowest` runs a share of the tests with
the oldest versions that pyproject.toml admits; `pins` asks the package index whether .ci/pins.txt is complete. These
run by default. `newest` runs the share with the newest versions on the newest Python; `renew` pins the newest versions.

Exits with 1 if a part failed; else with 69 if a part could not be checked here.
"""

import argparse
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.supply.audit import audit
from tests.supply.finding import Finding, exit_code
from tests.supply.licenses import licenses
from tests.supply.other_versions import lowest, newest
from tests.supply.pins import pins, renew

PARTS: dict[str, Callable[[], Finding]] = {"audit": audit, "licenses": licenses, "lowest": lowest, "pins": pins}


def main() -> int:
    """Run the parts, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.supply", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="audit, licenses, lowest, newest, pins; or renew")
    parser.add_argument("--python", help="for newest: a version or a path (default: the newest installed one)")
    options = parser.parse_args()
    known = PARTS | {"newest": lambda: newest(options.python)}
    if unknown := [part for part in options.parts if part not in {*known, "renew"}]:
        parser.error(f"there is no part {', '.join(unknown)}, only {', '.join(known)}, and renew")
    if shutil.which("uv") is None:
        parser.error("needs uv: pip install uv")
    chosen = {part: (known | {"renew": renew})[part] for part in options.parts or known}
    with ThreadPoolExecutor() as pool:
        pending = {part: pool.submit(_timed, check) for part, check in chosen.items()}
        rows = {part: row.result() for part, row in pending.items()}
    for part, (finding, seconds) in rows.items():
        print(f"{part:9} {finding.outcome:10} {seconds:4.0f} s  {finding.summary}")
    for part, (finding, _) in rows.items():
        for line in finding.details:
            print(f"{part}: {line}")
    return exit_code([finding for finding, _ in rows.values()])


def _timed(check: Callable[[], Finding]) -> tuple[Finding, float]:
    began = time.monotonic()
    try:
        finding = check()
    except RuntimeError as error:
        finding = Finding("failed", "could not run", str(error).splitlines())
    return finding, time.monotonic() - began


if __name__ == "__main__":
    raise SystemExit(main())
