"""The forms that a client shows its user are in the user's language; what the agent reads is in English."""

from pathlib import Path
from typing import Any

from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, Answer, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.user import NIGHT, User, open_agent_for

INCOMPLETE = {name: value for name, value in BISTRO.items() if name != "party_size"}


async def test_a_user_whose_call_names_a_language_is_asked_in_it(tmp_path: Path, mode: str, app: SandboxApp) -> None:
    user = User({"party_size": 2}, {"call_now": True})
    asked = INCOMPLETE | {"language": "es", "call_language": "en"}
    asked |= {"respondent_phone": "+34911234567", "timezone": "Europe/Madrid"}
    async with open_agent_for(settings_in(tmp_path, CONFIRM="always"), mode, ManualClock(NIGHT), app, user) as agent:
        made = await agent.use("make_call", asked)

    assert user.messages == [
        "Para llamar a Italian Bistro hace falta algo más.",
        "¿Llamar a Italian Bistro, +34 911 23 45 67 (España)?\n"
        "Hora allí: 13:30\n"
        "Idioma: Inglés\n"
        "Para: Book a table\n"
        "Detalles: Sample Guest, miércoles 28 de enero, 19:00, 2 personas\n"
        "Además: No aceptes un día ni una hora distintos de los pedidos.\n"
        "Llamadas restantes: 27\n"
        "Minutos restantes: 165",
    ]
    assert made.text.startswith("Booked: table for 2 at Italian Bistro (+34 911 23 45 67), Wed Jan 28, 7:00 PM there.")


async def test_a_later_call_and_a_list_are_asked_about_in_it(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    user = User({"call_now": True}, "decline")
    settings = settings_in(tmp_path, CONFIRM="always")
    one = {name: value for name, value in BISTRO.items() if name not in ("respondent_phone", "business_name")}
    candidates = [{"respondent_phone": "+14155551234", "business_name": "First"}, {"respondent_phone": "+34911234567"}]
    async with open_agent_for(settings, "auto", clock, app, user) as agent:
        scheduled = await agent.use(
            "make_call", BISTRO, not_before="2026-01-26T13:00-08:00", retries=1, language="es", appointment_time="21:00"
        )
        listed = await agent.use("call_around", one, candidates=candidates, until="booked", language="es")

    later, several = user.messages
    assert "\nCuándo: el lunes 26 de enero a la 1:00 p. m. (hora de Los Angeles; 4:00 p. m. en la tuya)\n" in later
    assert "\nIntentos: hasta 2, si está ocupado o no contestan, cada 15 minutos o más, de 8:00 a 21:00 allí\n" in later
    assert several.startswith(
        "¿Llamar a 2 números como máximo, uno tras otro? Se detiene cuando se consigue una reserva.\n"
        "- First (+1 415-555-1234), 7:30 a. m. (hora de allí): allí es muy temprano o muy tarde\n- +34 911 23 45 67"
    )
    assert scheduled.text.startswith(
        "Scheduled: Italian Bistro (+1 415-555-1234), Mon Jan 26, 1:00 PM Los Angeles time "
    )
    assert listed.text.startswith("Not called: the user was asked and did not agree")


async def test_where_the_call_names_none_the_clients_locale_counts(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    user = User(*["decline"] * 5)
    async with open_agent_for(settings_in(tmp_path, CONFIRM="always"), "auto", clock, app, user) as agent:
        for locale in ("es-MX", "es_ES", "en-US", "fr", ["es"]):
            meta: Any = {"openai/locale": locale}
            answer = Answer(await agent.client.call_tool("make_call", BISTRO, meta=meta))
            assert answer.text.startswith("Not called: the user was asked and did not agree to this call.")

    assert [message.split(" ")[0] for message in user.messages] == ["¿Llamar", "¿Llamar", "Call", "Call", "Call"]
