"""Which texts are neither English nor Spanish."""

import pytest

from kallyai_mcp.calls.speech.language import is_in_another_language


@pytest.mark.parametrize(
    "text",
    [
        "Réserver une table près de la fenêtre pour quatre personnes, s'il vous plaît",
        "Bitte einen Tisch für vier Personen am Fenster reservieren",
        "Vorrei prenotare un tavolo per quattro persone alle otto",
        "Gostaria de reservar uma mesa para quatro pessoas, não perto da porta",
        "Graag een tafel voor vier personen, niet bij het raam",
        "Забронировать столик на четверых",
        "予約をお願いします",
    ],
)
def test_another_language_is_recognized(text: str) -> None:
    assert is_in_another_language(text)


@pytest.mark.parametrize(
    "text",
    [
        "Book a table for four at Chez Nous et Vous",
        "Reservar una mesa para cuatro personas junto a la ventana",
        "Ask when they close",
        "Ask whether Der Spiegel and Die Zeit are in stock",
        "Oil change",
        "Pizza Margherita, per favore",
        "Llama y pregunta si hay sitio en la terraza",
        "?",
        "",
    ],
)
def test_english_spanish_and_names_are_not(text: str) -> None:
    assert not is_in_another_language(text)
