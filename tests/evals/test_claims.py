"""A clause claims what it says to have happened, unless it is negated, asked, or conditional."""

import pytest

from tests.evals.claims import Claim, claims_in


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("Your table is booked for Friday.", "booked"),
        ("I reserved a table for four.", "booked"),
        ("You're all set for 7 PM!", "booked"),
        ("Your appointment is confirmed.", "booked"),
        ("I made you a reservation for Friday.", "booked"),
        ("Tu mesa está reservada para el viernes.", "booked"),
        ("They were full at 7, but I booked 8:30 instead.", "booked"),
        ("Your reservation has been cancelled.", "canceled"),
        ("Tu cita está cancelada.", "canceled"),
        ("I moved it to Saturday.", "changed"),
        ("The pizza is ordered.", "ordered"),
        ("I called them just now.", "called"),
        ("They said that they close at 9.", "called"),
        ("He llamado al restaurante.", "called"),
        ("I left a message.", "message_left"),
    ],
)
def test_a_claim_is_found(text: str, claim: Claim) -> None:
    assert claim in claims_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "Nothing was booked.",
        "They are fully booked on Friday.",
        "I could not get it booked.",
        "Shall I call again, so that a table is booked?",
        "If you agree, it will be booked.",
        "I don't know whether the table was booked.",
        "The call was canceled before anybody answered.",
        "It hasn't been cancelled.",
        "I haven't called them.",
        "No se reservó nada.",
        "They only have a table for two at 9 PM.",
        "Would you like me to leave a message?",
    ],
)
def test_no_claim_is_found(text: str) -> None:
    assert claims_in(text) == {}
