"""Compares the list of dependencies, with licenses and reasons, with the requirements, pins, and installed metadata."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Self

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from tests.supply.finding import Finding
from tests.supply.requirements import ROOT, direct, pinned

LIST = ROOT / ".ci" / "dependencies.toml"

_FIELDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "PSF": "PSF-2.0",
}
"""Values of the field `License` in older distributions, with their SPDX ids."""

_CLASSIFIERS = {
    "Apache Software License": {"Apache-2.0"},
    "BSD License": {"BSD-2-Clause", "BSD-3-Clause"},
    "MIT License": {"MIT"},
    "Mozilla Public License 2.0 (MPL 2.0)": {"MPL-2.0"},
    "Python Software Foundation License": {"PSF-2.0"},
}
"""The last part of `License ::` classifiers, with the SPDX ids that it may mean."""


@dataclass(frozen=True)
class Dependencies:
    """The content of .ci/dependencies.toml.

    Attributes:
        permissive: SPDX ids of licenses that only require a notice in copies.
        copyleft: Other SPDX ids that are accepted, with the reason.
        licenses: The SPDX expression of each distribution, by normalized name.
        reasons: The reason for each direct dependency, by normalized name.
    """

    permissive: frozenset[str]
    copyleft: Mapping[str, str]
    licenses: Mapping[str, str]
    reasons: Mapping[str, str]

    @classmethod
    def read(cls) -> Self:
        """Read the list in the repository."""
        with LIST.open("rb") as file:
            content: dict[str, Any] = tomllib.load(file)
        own = content["direct"]
        return cls(
            permissive=frozenset(content["permissive"]),
            copyleft=content["copyleft"],
            licenses=content["transitive"] | {name: entry["license"] for name, entry in own.items()},
            reasons={name: entry["why"] for name, entry in own.items()},
        )

    def faults(self) -> Iterator[str]:
        """What is missing, unused, not accepted, or different from the metadata of the installed distributions."""
        required = set(direct())
        used = required | {canonicalize_name(pin.name) for pin in pinned()}
        listed = set(self.licenses)
        yield from (f"{name} has no license in the list" for name in sorted(used - listed))
        yield from (f"{name} is in the list, but is not a dependency" for name in sorted(listed - used))
        yield from (f"{name} is a direct dependency without a reason" for name in sorted(required - set(self.reasons)))
        yield from (
            f"{name} has a reason, but is not a direct dependency" for name in sorted(set(self.reasons) - required)
        )
        yield from (f"{name} has an empty reason" for name, why in self.reasons.items() if not why.strip())
        for name, license_ in sorted(self.licenses.items()):
            try:
                expression = canonicalize_license_expression(license_)
            except InvalidLicenseExpression:
                yield f"{name}: {license_} is not an SPDX expression"
                continue
            if not self.accepts(expression):
                yield f"{name}: {license_} is not accepted for a project under MIT"
            stated = stated_licenses(name)
            if stated is not None and license_ not in stated:
                yield f"{name}: the list has {license_}, the distribution {' or '.join(sorted(stated)) or 'nothing'}"
        ids = {identifier for license_ in self.licenses.values() for identifier in _identifiers(license_)}
        yield from (
            f"no dependency has the license {unused}" for unused in sorted((self.permissive | set(self.copyleft)) - ids)
        )

    def accepts(self, expression: str) -> bool:
        """Whether all licenses of an expression are accepted; with OR, one alternative is enough."""
        accepted = self.permissive | set(self.copyleft)
        # An expression with parentheses is not taken apart: all its licenses must be accepted.
        ways = [expression] if "(" in expression else expression.split(" OR ")
        return any(all(identifier in accepted for identifier in _identifiers(way)) for way in ways)


def licenses() -> Finding:
    """Check the list."""
    listed = Dependencies.read()
    if faults := list(listed.faults()):
        return Finding("failed", f"{len(faults)} faults in {LIST.relative_to(ROOT)}", faults)
    weak = sorted(
        name for name, license_ in listed.licenses.items() if set(_identifiers(license_)) & set(listed.copyleft)
    )
    count = f"{len(listed.licenses)} dependencies, {len(listed.reasons)} of them direct"
    return Finding("passed", f"{count}; accepted copyleft: {', '.join(weak) or 'none'}")


def stated_licenses(name: str) -> set[str] | None:
    """The licenses in the metadata of an installed distribution, as SPDX expressions; None if it is not installed.

    It uses `License-Expression` (PEP 639), else `License`, else the classifiers.
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
    return {license_ for classifier in last for license_ in _CLASSIFIERS.get(classifier, {classifier})}


def _identifiers(expression: str) -> list[str]:
    return [word for word in expression.replace("(", " ").replace(")", " ").split() if word not in ("AND", "OR")]
