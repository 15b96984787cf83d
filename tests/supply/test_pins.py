"""The pins satisfy pyproject.toml, have hashes, and name no host."""

import re

from packaging.utils import canonicalize_name

from tests.supply.requirements import PINS, direct, pinned

PINNED = list(pinned())


def test_each_requirement_has_pins_and_they_satisfy_it() -> None:
    for name, requirement in direct().items():
        versions = [next(iter(pin.specifier)).version for pin in PINNED if canonicalize_name(pin.name) == name]

        assert versions, name
        assert all(requirement.specifier.contains(version) for version in versions), name


def test_each_pin_has_exactly_one_version() -> None:
    for pin in PINNED:
        assert [part.operator for part in pin.specifier] == ["=="], pin
        assert "*" not in str(pin.specifier)


def test_each_pin_has_hashes_and_none_has_an_address() -> None:
    pin = r"[a-z0-9-]+==[A-Za-z0-9.]+( ; [^\\\n]+)? \\\n"
    digest = r"    --hash=sha256:[0-9a-f]{64}"

    assert re.fullmatch(rf"({pin}{digest}( \\\n{digest})*\n)+", PINS.read_text(encoding="utf-8"))
