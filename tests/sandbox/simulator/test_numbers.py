import re
from collections import Counter

import phonenumbers

from kallyai_mcp.sandbox.simulator.numbers import DOCUMENTED, RULE_EXAMPLES, TEST_NUMBERS, as_rows


def test_a_test_number_is_a_valid_phone_number_in_e164_and_reserved_for_fiction() -> None:
    for entry in TEST_NUMBERS:
        parsed = phonenumbers.parse(entry.number)
        assert phonenumbers.is_possible_number(parsed), entry
        assert phonenumbers.is_valid_number(parsed), entry
        assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == entry.number
        assert re.fullmatch(r"\+120255501\d\d|\+442079460\d{3}", entry.number), entry


def test_no_number_is_listed_twice() -> None:
    assert max(Counter(number for number, _ in as_rows()).values()) == 1


def test_every_refusal_is_named_by_its_error_code() -> None:
    refused = {entry.refusal for entry in DOCUMENTED if entry.refusal}
    assert refused == {
        "blocked_number", "suppression_violation", "consent_denied", "safety_violation", "phone_not_provisioned",
        "rate_limited", "emergency_number", "toll_number", "unsupported_country", "country_restriction",
    }  # fmt: skip


def test_the_examples_of_rules_break_the_rule_they_stand_for() -> None:
    example = {entry.refusal: entry.number for entry in RULE_EXAMPLES}
    toll = phonenumbers.parse(example["toll_number"])
    assert phonenumbers.number_type(toll) == phonenumbers.PhoneNumberType.PREMIUM_RATE
    assert phonenumbers.is_emergency_number(example["emergency_number"], "US")
    assert phonenumbers.region_code_for_number(phonenumbers.parse(example["unsupported_country"])) == "AU"
    assert phonenumbers.region_code_for_number(phonenumbers.parse(example["country_restriction"])) == "GB"
