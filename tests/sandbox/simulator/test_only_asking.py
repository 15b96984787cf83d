"""An assistant that is told to ask only, as KallyAI is by `call_around` with `until="all"`, books nothing."""

import pytest

from tests.sandbox.simulator.calls import COUNTER_OFFER, NUMBER, call, said

ONLY_ASK = {
    "en": "Only ask. Do not book, order, or agree to anything.",
    "es": "Solo pregunta. No reserves, no pidas y no aceptes nada.",
}


@pytest.mark.parametrize(
    ("language", "asks", "begins", "number", "answer"),
    [
        (
            "en",
            "a table for 4 is free on Friday, November 27 at 7:00 PM",
            "Nothing was booked",
            NUMBER,
            "Yes, ",
        ),
        ("en", "I only want to ask; please book nothing.", "Nothing was booked", COUNTER_OFFER, "8:30 PM"),
        ("es", "Quisiera saber si queda una mesa para 4 personas", "No se reservó nada", NUMBER, "Sí, "),
        ("es", "no reserve nada, por favor.", "No se reservó nada", COUNTER_OFFER, "8:30 p. m."),
    ],
)
def test_who_may_only_ask_books_nothing(language: str, asks: str, begins: str, number: str, answer: str) -> None:
    task = {"en": "Book a table", "es": "Reserva una mesa"}[language]
    result = call(
        task_description=task,
        language=language,
        respondent_phone=number,
        additional_instructions=[ONLY_ASK[language]],
    )

    assert (result.status, result.event) == ("success", None)
    assert asks in said(result, "AI")
    assert result.highlights.startswith(f"{begins}; ")
    assert answer in result.highlights
    assert ONLY_ASK[language] not in said(result)
