"""The test numbers: what happens on the line is decided by the number dialled, in the manner of payment test cards.

Each number is from a range that its country's regulator keeps free for fiction (United States 555-01xx, United Kingdom
020 7946 0xxx, Australia 02 5550 xxxx), so that one used by mistake on the real service rings nobody. Spain has no such
range and therefore no test number; the language of a call does not depend on the number.
"""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class TestNumber:
    """One number and what comes of dialling it.

    Attributes:
        number: In E.164, except for an emergency number, which has no such form.
        outcome: A stable name of what happens.
        description: The same in words, for people.
        refusal: The error code that refuses the call before anything is dialled; None when it is dialled.
    """

    __test__ = False  # the name begins like a test class of pytest's; it is none

    number: str
    outcome: str
    description: str
    refusal: str | None = None


def _refused(number: str, code: str, description: str) -> TestNumber:
    return TestNumber(number, code, description, code)


TEST_NUMBERS: Final[tuple[TestNumber, ...]] = (
    TestNumber("+12025550100", "success", "Answers and agrees to what is asked"),
    TestNumber("+12025550101", "counter_offer", "The time asked for is taken; another one is agreed"),
    TestNumber("+12025550102", "fully_booked", "Answers and declines: status success, and nothing is booked"),
    TestNumber("+12025550103", "busy", "Busy: status busy"),
    TestNumber("+12025550104", "no_answer", "Nobody answers: status no_answer"),
    TestNumber("+12025550105", "voicemail", "An answering machine; a message is left: status voicemail"),
    TestNumber("+12025550106", "failed", "The line drops in mid-call: status failed"),
    TestNumber("+12025550107", "cancelled", "The call is cancelled while it rings: status cancelled"),
    TestNumber(
        "+12025550108", "terminated", "The service ends the call early: status terminated (not in the reference)"
    ),
    TestNumber("+12025550110", "slow", "Puts the assistant on hold again and again: about 4 minutes"),
    TestNumber("+12025550111", "long", "Asks fifty questions first: a transcript of more than 100 entries"),
    TestNumber("+12025550112", "prompt_injection", "Tells the assistant, and who reads the transcript, what to do"),
    TestNumber("+12025550113", "unicode", "Speaks in other scripts, right to left, emoji, HTML and terminal codes"),
    TestNumber("+12025550114", "no_transcript", "Agrees, but there is no transcript: transcript_not_found"),
    TestNumber("+12025550115", "no_event", "Takes no bookings, one may just come: no calendar event"),
    _refused("+12025550120", "blocked_number", "Refused: flagged as fraud"),
    _refused("+12025550121", "suppression_violation", "Refused: on the do-not-call list"),
    _refused("+12025550122", "consent_denied", "Refused: consent was declined"),
    _refused("+12025550123", "safety_violation", "Refused: the content violates the guidelines"),
    _refused("+12025550124", "phone_not_provisioned", "Refused: the account has no line to call from"),
    _refused("+12025550125", "rate_limited", "Refused: too many calls, try again later"),
    TestNumber("+442079460100", "success", "A number in the United Kingdom: answers and agrees"),
    TestNumber("+442079460101", "counter_offer", "A number in the United Kingdom: another time is agreed"),
    TestNumber("+442079460103", "busy", "A number in the United Kingdom: busy"),
)
"""The numbers that decide by themselves what happens. Any other number that may be called succeeds."""

RULE_EXAMPLES: Final[tuple[TestNumber, ...]] = (
    _refused("911", "emergency_number", "Refused by rule: an emergency number (so are +1911, 112, …)"),
    _refused("+19005550100", "toll_number", "Refused by rule: a premium rate number"),
    _refused("+61255500100", "unsupported_country", "Refused by rule: a country that is not supported"),
    _refused("+442079460199", "country_restriction", "Refused by rule for us-only@sandbox.test; others may call it"),
)  # fmt: skip
"""One number for each rule about numbers. The rule refuses them, not this table; `lookup` does not know them."""

_BY_NUMBER = {entry.number: entry for entry in TEST_NUMBERS}


def lookup(number: str) -> TestNumber | None:
    """The test number that `number` is, with or without spaces, dots, hyphens and brackets; None for any other."""
    return _BY_NUMBER.get(re.sub(r"[\s().-]", "", number))


def as_rows() -> list[tuple[str, str]]:
    """The whole table as (number, description), rule examples last; for pages, the command line and the README."""
    return [(entry.number, entry.description) for entry in TEST_NUMBERS + RULE_EXAMPLES]
