"""In which language the user is asked."""

from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Answer, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.test_consent import BARE, YES
from tests.tools.user import NIGHT, User, open_agent_for


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NIGHT)


IN_SPAIN = BARE | {
    "respondent_phone": "+34911234567",
    "appointment_date": "2026-01-28",
    "appointment_time": "19:00",
    "user_name": "Ada",
    "timezone": "Europe/Madrid",
    "language": "es",
    "call_language": "en",
}


@pytest.fixture
def always_confirm(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, CONFIRM="always")


async def test_the_form_and_preview_are_in_spanish(
    always_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User({"party_size": 2}, YES)
    async with open_agent_for(always_confirm, mode, clock, app, user) as agent:
        made = await agent.use("make_call", IN_SPAIN)

    assert user.messages == [
        "Hace falta algo más para llamar a Italian Bistro, +34 911 23 45 67.\nPara: Book a table",
        "¿Llamar a Italian Bistro, +34 911 23 45 67 (España)?\n"
        "Hora allí: 13:30\n"
        "Idioma: Inglés\n"
        "Para: Book a table\n"
        "Detalles: Ada, miércoles 28 de enero, 19:00, 2 personas\n"
        "Además: No aceptes un día ni una hora distintos de los pedidos.\n"
        "Llamadas restantes: 27\n"
        "Minutos restantes: 165",
    ]
    assert made.text.startswith(
        "Booked: table for 2 at Italian Bistro (+34 911 23 45 67), Wed Jan 28, 7:00 PM."
    )


async def test_a_plan_is_previewed_in_spanish(
    always_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    later = BISTRO | {"not_before": "2026-01-26T13:00-08:00", "retries": 1, "language": "es"}
    user = User(YES)
    async with open_agent_for(always_confirm, mode, clock, app, user) as agent:
        scheduled = await agent.use("make_call", later, appointment_time="21:00")
    (preview,) = user.messages

    assert (
        "\nCuándo: el lunes 26 de enero a la 1:00 p. m. (hora de Los Angeles; 4:00 p. m. en la "
        "tuya)\n"
    ) in preview
    assert (
        "\nIntentos: hasta 2, si está ocupado o no contestan, cada 15 minutos o más, de 8:00 a "
        "21:00 allí\n"
    ) in preview
    assert scheduled.text.startswith(
        "Scheduled: Italian Bistro (+1 415-555-1234), Mon Jan 26, 1:00 PM Los Angeles"
    )


async def test_a_list_is_previewed_in_spanish(
    always_confirm: Settings, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    candidates = [
        {"respondent_phone": "+14155551234", "business_name": "First"},
        {"respondent_phone": "+34911234567"},
    ]
    of_one = ("respondent_phone", "business_name")
    table = {name: value for name, value in BISTRO.items() if name not in of_one}
    asked = table | {"candidates": candidates, "until": "booked", "language": "es"}
    user = User("decline")
    async with open_agent_for(always_confirm, mode, clock, app, user) as agent:
        listed = await agent.use("call_around", asked)
    (preview,) = user.messages

    assert preview.startswith(
        "¿Llamar a 2 números como máximo, uno tras otro? Se detiene cuando se consigue una "
        "reserva.\n"
        "- First (+1 415-555-1234), 4:30 a. m. (hora de allí): "
        "allí sería antes de las 8 de la mañana o después de las 9 de la noche\n- "
        "+34 911 23 45 67"
    )
    assert listed.text.startswith("Not called: the user was asked and did not agree")


async def test_without_a_language_the_clients_locale_counts(
    tmp_path: Path, app: SandboxApp
) -> None:
    user = User(*["decline"] * 5)
    settings = settings_in(tmp_path, CONFIRM="auto")
    async with open_agent_for(settings, "auto", ManualClock(NIGHT), app, user) as agent:
        for locale in ("es-MX", "es_ES", "en-US", "fr", ["es"]):
            meta: Any = {"openai/locale": locale}
            answer = Answer(await agent.client.call_tool("make_call", BISTRO, meta=meta))
            assert answer.text.startswith(
                "Not called: the user was asked and did not agree to this call."
            )

    assert [message.split(" ")[0] for message in user.messages] == [
        "¿Llamar",
        "¿Llamar",
        "Call",
        "Call",
        "Call",
    ]
