import re

import phonenumbers

from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS


def test_a_test_number_is_a_valid_phone_number_in_e164_and_reserved_for_fiction() -> None:
    for entry in TEST_NUMBERS:
        parsed = phonenumbers.parse(entry.number)
        assert phonenumbers.is_possible_number(parsed), entry
        assert phonenumbers.is_valid_number(parsed), entry
        assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == entry.number
        assert re.fullmatch(r"\+120255501\d\d|\+442079460\d{3}", entry.number), entry
