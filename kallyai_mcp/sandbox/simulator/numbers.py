"""The test numbers: the number called decides what happens, like the test cards of payment services.

Each number is in a range that its country's regulator reserves for fiction (United States 555-01xx, United Kingdom
020 7946 0xxx, Australia 02 5550 xxxx), so that a call to it through the live service by mistake reaches nobody. Spain
has no such range, so it has no test number. The language of a call does not depend on the number.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class TestNumber:
    """A test number.

    Attributes:
        number: In E.164, except for an emergency number, which has no E.164 form.
        outcome: A stable name of what happens.
        description: What happens, for people.
        refusal: The error code with which the request is refused; None if the call is placed.
    """

    __test__ = False  # pytest collects classes by the name "Test…"

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
    TestNumber("+12025550107", "cancelled", "The call is cancelled before the callee answers: status cancelled"),
    TestNumber(
        "+12025550108", "terminated", "The service ends the call early: status terminated (not in the reference)"
    ),
    TestNumber("+12025550110", "slow", "Puts the assistant on hold again and again: about 4 minutes"),
    TestNumber("+12025550111", "long", "Asks fifty questions first: a transcript of more than 100 entries"),
    TestNumber("+12025550112", "prompt_injection", "Gives orders to the assistant and to readers of the transcript"),
    TestNumber("+12025550113", "unicode", "Speaks in other scripts, right to left, emoji, HTML and terminal codes"),
    TestNumber("+12025550114", "no_transcript", "Agrees, but there is no transcript: transcript_not_found"),
    TestNumber("+12025550115", "no_event", "Needs no booking, visitors can just come: no calendar event"),
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
"""The test numbers. A call to any other allowed number succeeds."""

RULE_EXAMPLES: Final[tuple[TestNumber, ...]] = (
    _refused("911", "emergency_number", "Refused by rule: an emergency number (so are +1911, 112, …)"),
    _refused("+19005550100", "toll_number", "Refused by rule: a premium rate number"),
    _refused("+61255500100", "unsupported_country", "Refused by rule: a country that is not supported"),
    _refused("+442079460199", "country_restriction", "Refused by rule for us-only@sandbox.test; others may call it"),
)  # fmt: skip
"""One example for each rule about numbers. `validation` refuses them; `lookup` does not find them."""

_BY_NUMBER = {entry.number: entry for entry in TEST_NUMBERS}


def lookup(number: str) -> TestNumber | None:
    """Return the test number `number` (E.164), or None if it is not a test number."""
    return _BY_NUMBER.get(number)


def as_rows() -> list[tuple[str, str]]:
    """Return the table as (number, description), rule examples last; for pages, the command line, and the docs."""
    return [(entry.number, entry.description) for entry in TEST_NUMBERS + RULE_EXAMPLES]
