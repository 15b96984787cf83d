"""Known vulnerabilities of the pinned versions, by pip-audit."""

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from tests.programs import run
from tests.supply.finding import Finding
from tests.supply.requirements import PYTHON, pinned

PROGRAM = "pip-audit==2.10.1"
"""It runs in an environment of its own, so that its dependencies are none of ours."""

SERVICES = ("osv", "pypi")
"""The services, in the order in which they are asked until one answers; OSV knows more than the package index."""

_SECONDS = "10"
"""The time-out of a service's answer, in seconds."""


def audit() -> Finding:
    """Check that no pinned version, for any system, has a known vulnerability."""
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for service in SERVICES:
            try:
                finding = evaluate(service, [_ask(service, pins, Path(folder)) for pins in _batches()])
            except RuntimeError as error:
                finding = Finding("not checked", f"{service} gave no answer: {error}")
            if finding.outcome != "not checked":
                return finding
            failures.append(finding.summary)
    return Finding("not checked", "no vulnerability service could be asked, so nothing is known", failures)


def evaluate(service: str, answers: Sequence[dict[str, Any]]) -> Finding:
    """Evaluate pip-audit's answers (its JSON format).

    A version that the service does not know has a `skip_reason` in the answer, and pip-audit exits with 0. Such an
    answer does not pass here, because a service that knows nothing would pass everything.
    """
    packages = [package for answer in answers for package in answer["dependencies"]]
    known = [package for package in packages if "skip_reason" not in package]
    faults = [
        f"{package['name']} {package['version']}: {found['id']}"
        f"{' ' + ', '.join(found['aliases']) if found.get('aliases') else ''}"
        f"; fixed in {', '.join(found['fix_versions']) or 'no version'}"
        for package in known
        for found in package["vulns"]
    ]
    if faults:
        return Finding("failed", f"{len(faults)} known vulnerabilities, says {service}", faults)
    if not known or len(known) < len(packages):
        return Finding("not checked", f"{service} knows {len(known)} of {len(packages)} pinned versions")
    return Finding("passed", f"none of {len(known)} pinned versions is known to be vulnerable, says {service}")


def _batches() -> list[list[str]]:
    """The pins without hashes and markers, in batches: pip-audit refuses a name that occurs twice in one."""
    versions = {(canonicalize_name(pin.name), str(pin.specifier)) for pin in pinned()}
    seen: Counter[str] = Counter()
    batches: list[list[str]] = []
    for name, version in sorted(versions):
        if seen[name] == len(batches):
            batches.append([])
        batches[seen[name]].append(name + version)
        seen[name] += 1
    return batches


def _ask(service: str, pins: Sequence[str], folder: Path) -> dict[str, Any]:
    """Ask pip-audit.

    Raises:
        RuntimeError: It does not answer; the message is the last line of its stderr or of uv's.
    """
    lines = folder / "pins.txt"
    lines.write_text("\n".join(pins), encoding="utf-8")
    uvx = ("uv", "tool", "run", "--quiet", "--no-config", "--python", PYTHON, "--from", PROGRAM)
    options = ("--disable-pip", "--no-deps", "--progress-spinner", "off", "--timeout", _SECONDS, "--format", "json")
    done = run([*uvx, "pip-audit", "--requirement", str(lines), "--vulnerability-service", service, *options])
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2] or f"code {done.returncode}") from error
    return answer
