"""What pyproject.toml asks for, and what .ci/pins.txt answers."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent

PINS = ROOT / ".ci" / "pins.txt"
"""Every distribution that CI installs, in one version, with the hashes of its files (pip's requirements format)."""

PYTHON = "3.11"
"""The oldest Python that pyproject.toml admits."""


def direct() -> dict[str, Requirement]:
    """What pyproject.toml asks for itself, by normalized name: at run time, in extras, to develop and to build."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)
    own = canonicalize_name(project["project"]["name"])
    lines = [
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *(line for group in project["dependency-groups"].values() for line in group),
        *project["build-system"]["requires"],
    ]
    asked = (Requirement(line) for line in lines)
    return {name: requirement for requirement in asked if (name := canonicalize_name(requirement.name)) != own}


def pinned(text: str | None = None) -> Iterator[Requirement]:
    """The pins without their hashes; a name comes twice where Pythons or systems need different versions.

    Args:
        text: The pins, if they are not those of `PINS`.
    """
    for line in (PINS.read_text(encoding="utf-8") if text is None else text).splitlines():
        if line[:1].strip():
            yield Requirement(line.removesuffix("\\"))
