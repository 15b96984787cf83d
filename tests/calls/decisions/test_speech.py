"""What is understood of whole transcripts, and what is quoted."""

import pytest

from kallyai_mcp.calls.speech.answers import answers_in
from kallyai_mcp.calls.speech.cancellation import cancellation_in
from kallyai_mcp.calls.speech.disclosure import Disclosure, disclosure_in
from kallyai_mcp.calls.speech.machine import Line, SpokeWith, spoke_with
from kallyai_mcp.calls.speech.opt_out import opt_out_in
from kallyai_mcp.calls.speech.sentences import LONGEST_QUOTE, Words
from tests.calls.transcripts import transcript

HELLO = ("AI", "Hello, I'm calling to make a reservation.")
HI = ("HUMAN", "Hi, how can I help you?")


def test_a_request_is_quoted_with_its_time() -> None:
    said = transcript(HELLO, ("HUMAN", "We are closed. Please take us off your list. Bye."))

    assert opt_out_in(said) == Words("Please take us off your list.", "00:00:02")


def test_the_assistants_words_are_no_request() -> None:
    assert opt_out_in(transcript(HI, ("AI", "We will not call. Stop calling us."))) is None
    assert opt_out_in(transcript()) is None


def test_what_somebody_else_said_is_no_request() -> None:
    quoted = transcript(HELLO, ("HUMAN", "My wife said \u201cnever call here again\u201d, ha!"))
    whole = transcript(HELLO, ("HUMAN", '"Never call here again."'))

    assert opt_out_in(quoted) is None
    assert opt_out_in(whole) is not None


def test_a_later_sentence_can_show_otherwise() -> None:
    called_back = transcript(HELLO, ("HUMAN", "Please don't call us. We'll call you when it's in."))

    assert opt_out_in(called_back) is None


def test_a_long_sentence_is_shortened_around_the_request() -> None:
    talk = "and so on " * 500
    found = opt_out_in(transcript(HELLO, ("HUMAN", f"{talk}please take us off your list {talk}")))

    assert found is not None
    assert "take us off your list" in found.quote
    assert len(found.quote) <= LONGEST_QUOTE


@pytest.mark.parametrize(
    "words",
    [
        "Hello, I'm an AI assistant, and I'm speaking for Ada.",
        "Hi, this is Kally, an AI calling for Ada.",
        "Hello, this is Ada's AI assistant.",
        "Good evening, you're speaking with an automated assistant.",
        "I'm calling on behalf of Ada as an artificial intelligence.",
        "I AM A ROBOT",
        "Hola, soy un asistente de inteligencia artificial y hablo en nombre de Ada.",
        "Buenas tardes, le habla una IA en nombre de Ada.",
        "Soy la asistente de IA de Ada.",
    ],
)
def test_that_it_is_an_ai_is_quoted(words: str) -> None:
    assert disclosure_in(transcript(HI, ("AI", words))) == Disclosure(
        said=True, quote=words, at="00:00:02"
    )


@pytest.mark.parametrize(
    "words",
    [
        "Hello, I'm calling to make a reservation.",
        "Hello, I'm Ada's assistant.",
        "I'm a virtual assistant.",
        "No, I'm not an AI.",
        "I'm not a robot.",
        "I'm calling about the AI conference.",
        "I'm an AI researcher.",
        "Do you have an AI assistant?",
        "Hola, soy la asistente de Ada.",
        "No soy una IA.",
        "Llamo por el robot de cocina.",
    ],
)
def test_other_words_do_not_disclose_an_ai(words: str) -> None:
    assert disclosure_in(transcript(HI, ("AI", words))) == Disclosure(said=False)


def test_the_callees_words_disclose_nothing() -> None:
    assert not disclosure_in(transcript(HELLO, ("HUMAN", "I'm an AI assistant."))).said


@pytest.mark.parametrize(
    ("question", "answer"),
    [("Wait, are you a robot?", "Yes, I am."), ("¿Es usted una máquina?", "Sí, así es.")],
)
def test_a_yes_to_the_question_discloses_it(question: str, answer: str) -> None:
    asked = transcript(HELLO, ("HUMAN", question), ("AI", answer))
    other = transcript(HELLO, ("HUMAN", "Is it for two?"), ("AI", answer))

    assert disclosure_in(asked) == Disclosure(said=True, quote=answer, at="00:00:03")
    assert not disclosure_in(other).said


MENU = ("HUMAN", "Thank you for calling. For opening hours, press 1.")


def test_a_machine_is_quoted_where_only_one_spoke() -> None:
    again = ("HUMAN", "Sorry, that is not a valid option.")

    assert spoke_with(transcript(MENU, HELLO, again)) == Line(
        SpokeWith.MACHINE, Words("For opening hours, press 1.", "00:00:01")
    )


def test_a_person_after_a_menu_is_a_person() -> None:
    assert spoke_with(transcript(MENU, HI, HELLO)).spoke_with is SpokeWith.PERSON


def test_a_turn_of_a_possible_person_is_unclear() -> None:
    unclear = transcript(MENU, HELLO, ("HUMAN", "Harbor Books."))

    assert spoke_with(unclear) == Line(SpokeWith.UNCLEAR)


def test_without_words_of_the_callee_it_is_unclear() -> None:
    assert spoke_with(transcript()).spoke_with is SpokeWith.UNCLEAR
    assert spoke_with(transcript(HELLO, ("HUMAN", " \n"))).spoke_with is SpokeWith.UNCLEAR


def test_a_greeting_in_two_turns_is_one_machines() -> None:
    greeting = (("HUMAN", "You have reached Ana Ruiz."), ("HUMAN", "Please leave a message."))
    interrupted = (greeting[0], HELLO, greeting[1])

    assert spoke_with(transcript(*greeting)).spoke_with is SpokeWith.MACHINE
    assert spoke_with(transcript(*interrupted)).spoke_with is SpokeWith.UNCLEAR


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When are you open?", "Our opening hours are nine to five."),
        ("¿A qué hora abren?", "Nuestro horario es de nueve a dos."),
    ],
)
def test_opening_hours_asked_for_are_an_answer(question: str, answer: str) -> None:
    asked = transcript(("AI", question), ("HUMAN", answer))

    assert spoke_with(asked).spoke_with is not SpokeWith.MACHINE
    assert spoke_with(transcript(("HUMAN", answer))).spoke_with is SpokeWith.MACHINE


def test_an_answer_says_whether_it_is_certain() -> None:
    said = transcript(
        ("AI", "Is there parking?"),
        ("HUMAN", "I think so."),
        ("AI", "And do you take credit cards?"),
        ("HUMAN", "I think. Let me check."),
        ("HUMAN", "Yes, we do."),
    )
    (parking,), (cards,) = (answers_in(said, one) for one in ("Is there parking?", "credit cards"))

    assert (parking.quote, parking.at, parking.hedged) == ("I think so.", "00:00:02", True)
    assert not cards.hedged


CANCEL = ("AI", "I'd like to cancel my table.")


def test_a_cancellation_is_quoted_with_its_time() -> None:
    said = transcript(HI, CANCEL, ("HUMAN", "One moment. I have canceled the table for two."))

    assert cancellation_in(said) == Words("I have canceled the table for two.", "00:00:03")


def test_only_what_follows_the_request_counts() -> None:
    before = transcript(("HUMAN", "It's canceled."), CANCEL, ("HUMAN", "One moment."))

    assert cancellation_in(before) is None
    assert cancellation_in(transcript(HELLO, ("HUMAN", "It's canceled."))) is None


def test_the_last_word_on_a_cancellation_counts() -> None:
    revoked = transcript(CANCEL, ("HUMAN", "Done, it's canceled. Oh no, I can't cancel that."))
    done = transcript(CANCEL, ("HUMAN", "I can't cancel that. Oh wait, now it's canceled."))

    assert cancellation_in(revoked) is None
    assert cancellation_in(done) == Words("Oh wait, now it's canceled.", "00:00:02")


def test_done_alone_cancels_only_after_the_request() -> None:
    done = ("HUMAN", "All done.")
    asked_for_more = (CANCEL, ("HUMAN", "A moment."), ("AI", "Is the form sent?"))

    assert cancellation_in(transcript(CANCEL, done)) == Words("All done.", "00:00:02")
    assert cancellation_in(transcript(*asked_for_more, done)) is None


@pytest.mark.parametrize(
    "piece", ["please do not call ", "si ", "half past seven booked ", '"\u201c\u00ab']
)
def test_very_long_words_are_read(piece: str) -> None:
    huge = piece * (30_000 // len(piece))  # half an hour of speech
    said = transcript(CANCEL, ("HUMAN", huge), ("AI", huge))
    asked = opt_out_in(said)

    assert spoke_with(said).spoke_with is not SpokeWith.MACHINE
    assert cancellation_in(said) is None
    assert len(answers_in(said, "cancel my table")) == 1
    assert not disclosure_in(said).said
    assert asked is None or len(asked.quote) <= LONGEST_QUOTE
