"""Which words of a callee confirm a booking, and which wishes they leave open."""

from itertools import cycle

import pytest

from kallyai_mcp.calls.speech.confirmation import confirmation_in, left_open_in, unconfirmed_in
from kallyai_mcp.calls.speech.sentences import Words
from tests.calls.transcripts import transcript

WANT = ("AI", "Hello, I'm calling for Ada. A table for four by the window on Friday at 7, please.")

CONFIRMING = [
    "So that's a table for 4 on Friday, December 11 at 7:00 PM, under the name Ada.",
    "A table for four at seven on Friday, under Ada.",
    "I've got you down for seven, four people.",
    "Great, you're all set.",
    "We'll see you on Friday at seven.",
    "It's booked.",
    "Seven thirty it is.",
    "I have reserved it for you.",
    "I have moved it: a table for 4 at 8:00 PM.",
    "Entonces queda una mesa para 4 personas a las 7:00 p. m., a nombre de Ada.",
    "Ya está reservada.",
    "Les esperamos el viernes.",
    "I have you down for 7 p.m. under Ada.",
    "Su habitación está confirmada.",
]

OTHERS = [
    "We have nothing left at seven.",
    "I could offer you a table at 8:30.",
    "We are fully booked on Friday.",
    "Is it a table for four?",
    "If you have booked a table, press 2.",
    "Tables can be booked on our website.",
    "No reservation has been made.",
    "Let me see whether I have a table for four.",
    "Estamos completos el viernes.",
    "No queda ninguna mesa.",
    "¿Es una mesa para cuatro?",
    "Podría ofrecerle una mesa a las nueve.",
]


@pytest.mark.parametrize("words", CONFIRMING)
def test_words_that_confirm_are_quoted(words: str) -> None:
    said = transcript(("HUMAN", "Bistro?"), WANT, ("HUMAN", f"One moment. {words}"))

    assert confirmation_in(said, "Reserved a table.") == Words(words, "00:00:03")


@pytest.mark.parametrize("words", OTHERS)
def test_other_words_confirm_nothing(words: str) -> None:
    said = transcript(("HUMAN", "Your table is booked."), WANT, ("HUMAN", words))

    assert confirmation_in(said, "Reserved a table.") is None


def test_a_yes_to_the_repeated_request_confirms() -> None:
    repeats = ("AI", "So four people at seven under Ada?")
    parking = (("AI", "Is there parking?"), ("HUMAN", "Yes, behind the house."))
    said = transcript(
        WANT, ("HUMAN", "Sure, that works."), repeats, ("HUMAN", "Yes, exactly."), *parking
    )

    assert confirmation_in(said, "") == Words("Yes, exactly.", "00:00:04")


def test_the_confirmation_nearest_to_the_report_counts() -> None:
    said = transcript(
        WANT,
        ("HUMAN", "Okay, a table for four at seven. Oh, wait, that is gone."),
        ("AI", "Then 8:30, please."),
        ("HUMAN", "So that's a table for four at 8:30, under Ada."),
        ("AI", "Thank you."),
        ("HUMAN", "See you then."),
    )
    found = confirmation_in(said, "Reserved a table for four at 8:30 under Ada.")

    assert found == Words("So that's a table for four at 8:30, under Ada.", "00:00:04")


WINDOW = "A table by the window"

LEFT_OPEN = [
    "I have written that down.",
    "We'll try to get you the window.",
    "We have no tables by the window.",
    "By the window?",
    "I'm afraid the window is taken.",
    "Maybe by the window.",
    "Lo siento, no hay mesas.",
]

GRANTED = ["A window table, all right.", "You will sit at the window.", "By the window, got it."]


@pytest.mark.parametrize("words", LEFT_OPEN)
def test_a_wish_is_left_open(words: str) -> None:
    said = transcript(WANT, ("HUMAN", words))

    assert unconfirmed_in(said, [WINDOW]) == (WINDOW,)


@pytest.mark.parametrize("words", GRANTED)
def test_a_wish_that_they_repeat_is_granted(words: str) -> None:
    assert unconfirmed_in(transcript(WANT, ("HUMAN", words)), [WINDOW]) == ()


def test_a_yes_grants_what_was_just_asked() -> None:
    asks = ("AI", "May it be by the window? We need a high chair, too.")
    yes = transcript(WANT, ("HUMAN", "Hm."), asks, ("HUMAN", "Of course."))
    unsure = transcript(WANT, ("HUMAN", "Hm."), asks, ("HUMAN", "Sure, I think so."))
    first = transcript(WANT, ("HUMAN", "Sure."))

    assert unconfirmed_in(yes, [WINDOW, "High chairs", "Parking"]) == ("Parking",)
    assert unconfirmed_in(unsure, [WINDOW]) == (WINDOW,)
    assert unconfirmed_in(first, [WINDOW]) == (WINDOW,)


NO_WINDOW = "We have no tables by the window."


@pytest.mark.parametrize(
    ("said", "quote"),
    [
        ([f"Seven is fine. {NO_WINDOW}"], NO_WINDOW),
        (["Maybe by the window. Bye."], "Maybe by the window."),
        (["Hm.", "May it be by the window?", "One moment. Those are taken."], "Those are taken."),
        (["By the window?"], None),
        (["Hm.", "By the window, at seven?", "Sorry, seven is taken."], None),
        (["Sorry, seven is taken."], None),
    ],
)
def test_words_about_an_open_wish_are_found(said: list[str], quote: str | None) -> None:
    turns = zip(cycle(["HUMAN", "AI"]), said, strict=False)
    found = left_open_in(transcript(WANT, *turns), WINDOW)

    assert (None if found is None else found.quote) == quote


def test_a_part_of_a_wish_may_be_refused() -> None:
    wish = "A table by the window if possible; otherwise any table is fine"
    refused = "The window is not possible, I'm afraid."
    found = left_open_in(transcript(WANT, ("HUMAN", f"Seven is fine. {refused}")), wish)

    assert found is not None
    assert found.quote == refused


def test_a_name_counts_as_a_wish() -> None:
    said = transcript(WANT, ("HUMAN", "Una mesa a nombre de Jos\u00e9 Ruiz."))

    assert unconfirmed_in(said, ["Jose Ruiz", "Ada"]) == ("Ada",)
