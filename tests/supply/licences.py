"""The list of dependencies, their licences and the reasons for them, against what is really there."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Self

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from tests.supply.declared import ROOT, direct, pinned
from tests.supply.report import Finding

LIST = ROOT / ".ci" / "dependencies.toml"

_FIELDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "PSF": "PSF-2.0",
}
"""What older distributions write into `License`, where it isn't an SPDX id already."""

_CLASSIFIERS = {
    "Apache Software License": {"Apache-2.0"},
    "BSD License": {"BSD-2-Clause", "BSD-3-Clause"},
    "MIT License": {"MIT"},
    "Mozilla Public License 2.0 (MPL 2.0)": {"MPL-2.0"},
    "Python Software Foundation License": {"PSF-2.0"},
}
"""What the last part of a `License ::` classifier may mean, as SPDX ids."""


@dataclass(frozen=True)
class Dependencies:
    """What .ci/dependencies.toml says.

    Attributes:
        permissive: SPDX ids that ask no more than a notice of who ships a copy.
        copyleft: Other SPDX ids that are accepted, and why they may be.
        licences: The SPDX expression of each distribution, by normalized name.
        reasons: Why each direct dependency is there.
    """

    permissive: frozenset[str]
    copyleft: Mapping[str, str]
    licences: Mapping[str, str]
    reasons: Mapping[str, str]

    @classmethod
    def read(cls) -> Self:
        """The list as it stands in the repository."""
        with LIST.open("rb") as file:
            content: dict[str, Any] = tomllib.load(file)
        own = content["direct"]
        return cls(
            permissive=frozenset(content["permissive"]),
            copyleft=content["copyleft"],
            licences=content["transitive"] | {name: entry["licence"] for name, entry in own.items()},
            reasons={name: entry["why"] for name, entry in own.items()},
        )

    def faults(self) -> Iterator[str]:
        """What is missing, stale, refused, or other than the installed distributions say of themselves."""
        asked = set(direct())
        there = asked | {canonicalize_name(pin.name) for pin in pinned()}
        listed = set(self.licences)
        yield from (f"{name} has no licence in the list" for name in sorted(there - listed))
        yield from (f"{name} is in the list, and not depended on" for name in sorted(listed - there))
        yield from (f"{name} is a direct dependency without a reason" for name in sorted(asked - set(self.reasons)))
        yield from (f"{name} has a reason, and is no direct dependency" for name in sorted(set(self.reasons) - asked))
        yield from (f"{name} has an empty reason" for name, why in self.reasons.items() if not why.strip())
        for name, licence in sorted(self.licences.items()):
            try:
                expression = canonicalize_license_expression(licence)
            except InvalidLicenseExpression:
                yield f"{name}: {licence} is no SPDX expression"
                continue
            if not self.accepts(expression):
                yield f"{name}: {licence} is not accepted for a project under MIT"
            stated = stated_by(name)
            if stated is not None and licence not in stated:
                yield f"{name}: the list says {licence}, the distribution {' or '.join(sorted(stated)) or 'nothing'}"
        used = {identifier for licence in self.licences.values() for identifier in _identifiers(licence)}
        yield from (f"nothing is under {gone}" for gone in sorted((self.permissive | set(self.copyleft)) - used))

    def accepts(self, expression: str) -> bool:
        """Whether each licence of an expression is accepted, or one of those that may be chosen from."""
        accepted = self.permissive | set(self.copyleft)
        ways = [expression] if "(" in expression else expression.split(" OR ")  # nested: all of it must be accepted
        return any(all(identifier in accepted for identifier in _identifiers(way)) for way in ways)


def licences() -> Finding:
    """Whether the list is true and complete."""
    listed = Dependencies.read()
    if faults := list(listed.faults()):
        return Finding("failed", f"{len(faults)} faults in {LIST.relative_to(ROOT)}", faults)
    weak = sorted(
        name for name, licence in listed.licences.items() if set(_identifiers(licence)) & set(listed.copyleft)
    )
    count = f"{len(listed.licences)} dependencies, {len(listed.reasons)} of them direct"
    return Finding("passed", f"{count}; copyleft, and why it may be, is noted for {', '.join(weak) or 'none'}")


def stated_by(name: str) -> set[str] | None:
    """The licences that an installed distribution's metadata can mean, as SPDX expressions; None if it isn't here.

    `License-Expression` (PEP 639) comes first, then `License`, then the classifiers.
    """
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if expressions := found.get_all("License-Expression", []):
        return set(expressions)
    if fields := found.get_all("License", []):
        return {_FIELDS.get(fields[0], fields[0])}
    last = (line.rpartition(" :: ")[2] for line in found.get_all("Classifier", []) if line.startswith("License ::"))
    return {licence for classifier in last for licence in _CLASSIFIERS.get(classifier, {classifier})}


def _identifiers(expression: str) -> list[str]:
    return [word for word in expression.replace("(", " ").replace(")", " ").split() if word not in ("AND", "OR")]
