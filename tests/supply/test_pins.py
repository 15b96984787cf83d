"""The pins that CI installs are those that pyproject.toml asks for, and say nothing of where they come from."""

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.supply.declared import PINS, direct, pinned

PINNED = list(pinned())


@pytest.mark.parametrize("name", sorted(direct()))
def test_a_pin_satisfies_what_is_asked_for(name: str) -> None:
    asked = direct()[name]
    versions = [next(iter(pin.specifier)).version for pin in PINNED if canonicalize_name(pin.name) == name]

    assert versions
    assert all(asked.specifier.contains(version) for version in versions)


@pytest.mark.parametrize("pin", PINNED, ids=str)
def test_a_pin_is_of_one_version(pin: Requirement) -> None:
    assert [part.operator for part in pin.specifier] == ["=="]
    assert "*" not in str(pin.specifier)


def test_each_pin_has_hashes_and_nothing_has_an_address() -> None:
    pin = r"[a-z0-9-]+==[A-Za-z0-9.]+( ; [^\\\n]+)? \\\n"
    digest = r"    --hash=sha256:[0-9a-f]{64}"

    assert re.fullmatch(rf"({pin}{digest}( \\\n{digest})*\n)+", PINS.read_text(encoding="utf-8"))


def test_rich_stays_out() -> None:
    assert "rich" not in {pin.name for pin in PINNED}  # httpx imports it where it is, which slows every start
