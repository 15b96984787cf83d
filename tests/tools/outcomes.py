"""What results and cards claim, by what the service answered: one row for each kind of call."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """What the call card shows: the status, also in Spanish, the tone of its colors, its own
    sentence, and buttons.
    """

    status: str
    estado: str
    tone: str
    sentence: str
    buttons: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """What a callee does, by the sandbox's name of its test number, and what result and card must
    say.

    The outcome is None when no call was placed. The appointment is its start in the structure.
    """

    callee: str
    outcome: str | None
    card: Card
    appointment: str | None = None


ROWS = (
    Row(
        "success",
        "booked",
        appointment="2026-01-28T19:00:00-05:00",
        card=Card("Booked", "Reservado", "good", "", ("Add to calendar", "Conversation")),
    ),
    Row(
        "counter_offer",
        "booked_other_time",
        appointment="2026-01-28T20:30:00-05:00",
        card=Card(
            "Booked for another time",
            "Reservado para otro momento",
            "warn",
            "You asked for Wed, Jan 28, 7:00 PM. Check whether it works for you.",
            ("Add to calendar", "Conversation"),
        ),
    ),
    Row(
        "fully_booked",
        "answered",
        card=Card(
            "Answered",
            "Llamada atendida",
            "warn",
            "They talked, but KallyAI's calendar has nothing about it.",
            ("Conversation",),
        ),
    ),
    Row(
        "busy",
        "not_reached",
        card=Card(
            "Not reached", "No se logró contactar", "warn", "The line was busy.", ("Call again",)
        ),
    ),
    Row(
        "voicemail",
        "not_reached",
        card=Card(
            "Not reached",
            "No se logró contactar",
            "warn",
            "Only voicemail answered.",
            ("Call again",),
        ),
    ),
    Row(
        "failed",
        "failed",
        card=Card(
            "Failed",
            "Llamada fallida",
            "bad",
            "The call failed. As far as is known, nothing was agreed.",
            ("Conversation",),
        ),
    ),
    Row(
        "cancelled",
        "canceled",
        card=Card(
            "Canceled", "Cancelada", "quiet", "The call was canceled. Don't count on anything.", ()
        ),
    ),
    Row(
        "suppression_violation",
        None,
        card=Card(
            "Not called",
            "No se llamó",
            "bad",
            "This number is on the do-not-call list. Reach them another way.",
            (),
        ),
    ),
)
