"""The emergency numbers of a country: those of `phonenumbers`, and those that only the sandbox
knows.
"""

import itertools
import re
import string
from functools import cache
from typing import Any

from phonenumbers.phonemetadata import PhoneMetadata

from kallyai_mcp.sandbox.validation import MORE_EMERGENCY_NUMBERS


@cache
def emergency_numbers(country: str) -> list[str]:
    """Return the emergency numbers of a country, without the country code."""
    metadata: Any = PhoneMetadata.short_metadata_for_region(country)
    pattern = re.compile(metadata.emergency.national_number_pattern)
    lengths = metadata.emergency.possible_length or metadata.general_desc.possible_length
    digits = (
        "".join(each)
        for length in lengths
        for each in itertools.product(string.digits, repeat=length)
    )
    known = [number for number in digits if pattern.fullmatch(number)]
    return [*known, *MORE_EMERGENCY_NUMBERS.get(country, ())]
