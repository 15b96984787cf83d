"""How an operator names the numbers that are looked for in the audit trail."""

import pytest

from kallyai_mcp.calls.operator import numbers_like


@pytest.mark.parametrize(
    ("written", "pattern"),
    [
        ("+14155551234", "+14155551234%"),
        (" +1 (415) 555-1234", "+14155551234%"),
        ("+1415…", "+1415%"),
        ("415 555 1234", "%4155551234"),
        ("+1…34", "+1%34"),
        ("+1...34", "+1%34"),
        ("…34", "%34"),
        ("34", "%34"),
        ("all", None),
        ("…", None),
        ("%", None),
    ],
)
def test_numbers_are_named_as_operators_have_them(written: str, pattern: str | None) -> None:
    assert numbers_like(written) == pattern
