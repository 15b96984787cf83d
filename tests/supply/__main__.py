"""Holds what this project depends on to what it says of it.

    uv run python -m tests.supply [--python PYTHON] [PART ...]

The parts, all of them by default: `audit` asks pip-audit for known vulnerabilities of what is pinned; `licences` holds
.ci/dependencies.toml to pyproject.toml, the pins and the installed metadata; `lowest` runs a share of the suite with
the oldest versions that pyproject.toml admits; `newest` runs it with the newest, on the newest Python; `pins` asks the
package index whether .ci/pins.txt is complete. `renew` is another, run only when named: it pins the newest versions.

Exits with 1 on a fault; with 69 if there is none, but a part could not be asked, which is not a pass.
"""

import argparse
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.supply.audit import audit
from tests.supply.licences import licences
from tests.supply.pins import pins, renew
from tests.supply.report import Finding, exit_code
from tests.supply.trials import lowest, newest

PARTS: dict[str, Callable[[], Finding]] = {"audit": audit, "licences": licences, "lowest": lowest, "pins": pins}


def main() -> int:
    """Run the parts and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.supply", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="audit, licences, lowest, newest, pins; or renew")
    parser.add_argument("--python", help="for newest: a version or a path (default: the newest that is installed)")
    given = parser.parse_args()
    known = PARTS | {"newest": lambda: newest(given.python)}
    if unknown := [part for part in given.parts if part not in {*known, "renew"}]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(known)}, and renew")
    if shutil.which("uv") is None:
        parser.error("needs uv: pip install uv")
    chosen = {part: (known | {"renew": renew})[part] for part in given.parts or known}
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
        finding = Finding("failed", "could not be carried out", str(error).splitlines())
    return finding, time.monotonic() - began


if __name__ == "__main__":
    raise SystemExit(main())
