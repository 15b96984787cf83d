"""Known vulnerabilities in what is pinned, by pip-audit."""

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from tests.supply.declared import PYTHON, pinned
from tests.supply.report import Finding
from tests.supply.uv import run

PROGRAM = "pip-audit==2.10.1"
"""Runs in an environment of uv's own: it brings rich, and httpx imports rich where it finds it."""

SERVICES = ("osv", "pypi")
"""Who is asked, in this order, until one answers: OSV knows more than the package index's own list of advisories."""

_SECONDS = "10"
"""How long a service may take over one answer."""


def audit() -> Finding:
    """Whether a pinned version, on whatever system it is for, is known to be vulnerable."""
    silent = []
    with tempfile.TemporaryDirectory() as folder:
        for service in SERVICES:
            try:
                finding = judged(service, [_asked(service, pins, Path(folder)) for pins in _rounds()])
            except RuntimeError as error:
                finding = Finding("not asked", f"{service} gave no answer: {error}")
            if finding.outcome != "not asked":
                return finding
            silent.append(finding.summary)
    return Finding("not asked", "no vulnerability service could be asked, so nothing is known", silent)


def judged(service: str, answers: Sequence[dict[str, Any]]) -> Finding:
    """What pip-audit's answers come to (its JSON format).

    A version that the service does not know is named in the answer with a `skip_reason`, and pip-audit itself then
    exits with 0: that would let a service that knows nothing pass everything.
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
        return Finding("not asked", f"{service} knows {len(known)} of {len(packages)} pinned versions")
    return Finding("passed", f"none of {len(known)} pinned versions is known to be vulnerable, says {service}")


def _rounds() -> list[list[str]]:
    """The pins without hashes and markers; pip-audit refuses a name that comes twice in one go."""
    versions = {(canonicalize_name(pin.name), str(pin.specifier)) for pin in pinned()}
    seen: Counter[str] = Counter()
    rounds: list[list[str]] = []
    for name, version in sorted(versions):
        if seen[name] == len(rounds):
            rounds.append([])
        rounds[seen[name]].append(name + version)
        seen[name] += 1
    return rounds


def _asked(service: str, pins: Sequence[str], folder: Path) -> dict[str, Any]:
    """pip-audit's answer.

    Raises:
        RuntimeError: There is none; with the last that pip-audit, or uv in its place, said.
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
