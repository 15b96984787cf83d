"""Proves that the oracle can see: each broken build must break a rule in its run, and the real one none in any run.

uv run python -m tests.faults --prove
"""

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import anyio

from tests.faults.simulation.broken import BROKEN, Broken, break_program

_SECONDS = 120
_JOBS = 3


def prove(names: Iterable[str] | None = None) -> Iterator[tuple[Broken, list[str]]]:
    """Run each broken build in a process of its own; yields the rules that it broke.

    Args:
        names: Only the builds of these names.
    """
    chosen = [broken for broken in BROKEN if names is None or broken.name in names]
    with ThreadPoolExecutor(_JOBS) as pool:
        yield from zip(chosen, pool.map(_run, chosen), strict=True)


def main() -> int:
    """Print a line for each broken build; returns 1 if one was not seen, or if the real one broke a rule."""
    logging.getLogger("kallyai_mcp").setLevel(logging.ERROR)
    failed = False
    for broken, rules in prove():
        failed = failed or not rules
        print(f"{broken.name:70} {', '.join(rules) or 'NOT SEEN'}", flush=True)
    for broken in BROKEN:
        if reports := real_reports(broken):
            failed = True
            print(f"The real build: {broken.plan.title}\n{reports}", flush=True)
    print(
        f"{len(BROKEN)} broken builds, {'FAILED' if failed else 'each of them seen, and the real one breaks no rule'}"
    )
    return int(failed)


def real_reports(broken: Broken) -> str:
    """The report of the run of `broken` in this process; empty if no rule was broken."""
    # Imported late: the process that runs a broken build must not import the real one before.
    from tests.faults.simulation.oracle import find_violations, report
    from tests.faults.simulation.run import Run, fast_folder, run_places

    plan = replace(broken.plan, mode="legacy")
    with tempfile.TemporaryDirectory(prefix="faults-", dir=fast_folder()) as folder:
        evidence = anyio.run(Run(plan, run_places(Path(folder), plan)).evidence)
    violations = find_violations(evidence)
    return report(evidence, violations, f"the run of: {broken.name}") if violations else ""


def _run(broken: Broken) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", __name__, broken.name], capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise AssertionError(f"{broken.name}: {done.stderr[-3000:]}")
    rules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return rules


def _main_of_broken_build(name: str) -> None:
    [broken] = [each for each in BROKEN if each.name == name]
    break_program(broken)
    logging.getLogger("kallyai_mcp").setLevel(logging.ERROR)
    text = real_reports(broken)
    rules = {line.split(":")[0].removeprefix("VIOLATED ") for line in text.splitlines() if line.startswith("VIOLATED ")}
    print(json.dumps(sorted(rules)))


if __name__ == "__main__":
    _main_of_broken_build(sys.argv[1])
