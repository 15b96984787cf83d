"""The list of dependencies is complete and correct, and every fault in it is found."""

from dataclasses import replace

import pytest

from tests.supply.licenses import Dependencies


@pytest.fixture(scope="module")
def listed() -> Dependencies:
    return Dependencies.read()


def test_the_list_has_no_faults(listed: Dependencies) -> None:
    assert list(listed.faults()) == []


@pytest.mark.parametrize("license_", ["GPL-3.0-only", "MIT AND LGPL-2.1-only", "(MIT OR GPL-2.0-only) AND MIT"])
def test_a_license_that_is_in_neither_list_is_not_accepted(listed: Dependencies, license_: str) -> None:
    changed = replace(listed, licenses={**listed.licenses, "click": license_})

    assert f"click: {license_} is not accepted for a project under MIT" in changed.faults()


def test_one_accepted_alternative_is_enough(listed: Dependencies) -> None:
    assert listed.accepts("GPL-2.0-only OR MIT")
    assert not listed.accepts("GPL-2.0-only OR LGPL-2.1-only")


def test_a_license_that_differs_from_the_distribution_is_a_fault(listed: Dependencies) -> None:
    changed = replace(listed, licenses={**listed.licenses, "click": "MIT"})

    assert list(changed.faults()) == ["click: the list has MIT, the distribution BSD-3-Clause"]


def test_an_invalid_expression_is_a_fault(listed: Dependencies) -> None:
    changed = replace(listed, licenses={**listed.licenses, "click": "BSD, I think"})

    assert list(changed.faults()) == ["click: BSD, I think is not an SPDX expression"]


def test_a_missing_or_unused_entry_is_a_fault(listed: Dependencies) -> None:
    licenses = {name: license_ for name, license_ in listed.licenses.items() if name != "idna"} | {"gone": "MIT"}
    reasons = {name: why for name, why in listed.reasons.items() if name != "click"} | {"gone": "It was there once."}

    assert list(replace(listed, licenses=licenses, reasons=reasons).faults()) == [
        "idna has no license in the list",
        "gone is in the list, but is not a dependency",
        "click is a direct dependency without a reason",
        "gone has a reason, but is not a direct dependency",
    ]
