"""The requirements in pyproject.toml, and the pins in .ci/pins.txt."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent

PINS = ROOT / ".ci" / "pins.txt"
"""Every distribution that CI installs: one version each, with the hashes of its files (pip's requirements format)."""

PYTHON = "3.11"
"""The oldest Python that pyproject.toml admits."""


def direct() -> dict[str, Requirement]:
    """The requirements in pyproject.toml, by normalized name: run time, extras, development, and build."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)
    own = canonicalize_name(project["project"]["name"])
    lines = [
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *(line for group in project["dependency-groups"].values() for line in group),
        *project["build-system"]["requires"],
    ]
    requirements = (Requirement(line) for line in lines)
    return {name: requirement for requirement in requirements if (name := canonicalize_name(requirement.name)) != own}


def pinned(text: str | None = None) -> Iterator[Requirement]:
    """The pins without their hashes; a name occurs twice if Python versions or systems need different versions.

    Args:
        text: The content of a file of pins; by default of `PINS`.
    """
    for line in (PINS.read_text(encoding="utf-8") if text is None else text).splitlines():
        if line[:1].strip():
            yield Requirement(line.removesuffix("\\"))
