"""The list of dependencies is complete and true, and what it refuses is refused."""

from dataclasses import replace

import pytest

from tests.supply.licences import Dependencies


@pytest.fixture(scope="module")
def listed() -> Dependencies:
    return Dependencies.read()


def test_the_list_is_what_the_project_depends_on(listed: Dependencies) -> None:
    assert list(listed.faults()) == []


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "MIT AND LGPL-2.1-only", "(MIT OR GPL-2.0-only) AND MIT"])
def test_a_licence_that_nothing_was_said_of_is_refused(listed: Dependencies, licence: str) -> None:
    changed = replace(listed, licences={**listed.licences, "click": licence})

    assert f"click: {licence} is not accepted for a project under MIT" in changed.faults()


def test_of_licences_to_choose_from_one_has_to_be_accepted(listed: Dependencies) -> None:
    assert listed.accepts("GPL-2.0-only OR MIT")
    assert not listed.accepts("GPL-2.0-only OR LGPL-2.1-only")


def test_another_licence_than_the_distribution_states_is_a_fault(listed: Dependencies) -> None:
    changed = replace(listed, licences={**listed.licences, "click": "MIT"})

    assert list(changed.faults()) == ["click: the list says MIT, the distribution BSD-3-Clause"]


def test_what_is_no_licence_is_a_fault(listed: Dependencies) -> None:
    changed = replace(listed, licences={**listed.licences, "click": "BSD, I think"})

    assert list(changed.faults()) == ["click: BSD, I think is no SPDX expression"]


def test_what_is_missing_or_stale_is_a_fault(listed: Dependencies) -> None:
    licences = {name: licence for name, licence in listed.licences.items() if name != "idna"} | {"gone": "MIT"}
    reasons = {name: why for name, why in listed.reasons.items() if name != "click"} | {"gone": "It was there once."}

    assert list(replace(listed, licences=licences, reasons=reasons).faults()) == [
        "idna has no licence in the list",
        "gone is in the list, and not depended on",
        "click is a direct dependency without a reason",
        "gone has a reason, and is no direct dependency",
    ]
