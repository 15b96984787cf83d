"""A client over HTTP says which language its user reads by the header Accept-Language, as browsers do."""

import pytest

from tests.transports.event_stream import Json, ask
from tests.transports.http_server import ClientOptions, RunningSandbox, connected_agent, running_server


async def test_the_header_accept_language_counts(sandbox: RunningSandbox) -> None:
    found = []
    async with running_server(sandbox.settings()) as url:
        for languages in (None, "*", "es-MX,es;q=0.9,en;q=0.8"):
            for connection in ("auto", "sse"):
                options = ClientOptions(languages=languages)
                async with connected_agent(url, connection, options=options) as agent:
                    found.append((await agent.use("check_quota")).text.split()[0])

    assert found == ["27", "27", "27", "27", "Disponibles:", "Disponibles:"]


@pytest.mark.parametrize(
    ("method", "params", "english", "spanish"),
    [
        ("events/list", {"cursor": "2"}, "There is no such page: ", "No existe esa página: "),
        ("events/poll", {"name": "call.began"}, "There is no such event; ", "No existe ese evento; "),
        ("events/poll", {"name": "call.ended", "cursor": "x"}, "That cursor is not ", "Ese cursor no es "),
        ("events/stream", {"name": "call.began"}, "There is no such event; ", "No existe ese evento; "),
        (
            "events/unsubscribe",
            {"name": "call.ended", "delivery": {"url": "https://example.com"}},
            "Webhooks need a bearer token",
            "Los webhooks necesitan un token",
        ),
        (
            "subscriptions/listen",
            {"notifications": {"resourceSubscriptions": ["kallyai://quota"]}},
            "You can subscribe only to your own calls",
            "Solo puedes suscribirte a tus propias",
        ),
    ],
)
async def test_errors_of_events_and_subscriptions_are_in_it(
    sandbox: RunningSandbox, method: str, params: Json, english: str, spanish: str
) -> None:
    async with running_server(sandbox.settings()) as url:
        found = [(await ask(url, method, params, languages=languages))["error"] for languages in ("en", "es-MX")]

    assert found[0]["message"].startswith(english)
    assert found[1]["message"].startswith(spanish)
    assert {**found[0], "message": ""} == {**found[1], "message": ""}


async def test_so_is_an_error_of_the_account(sandbox: RunningSandbox) -> None:
    async with running_server(sandbox.settings(ACCESS_TOKEN="")) as url:
        polled = await ask(url, "events/poll", {"name": "call.ended"}, languages="es")
        listened = await ask(
            url,
            "subscriptions/listen",
            {"notifications": {"resourceSubscriptions": ["kallyai://calls"]}},
            languages="es",
        )

    assert polled["error"]["message"].startswith("No hay sesión iniciada en KallyAI.")
    assert listened["error"]["message"].startswith("No hay sesión iniciada en KallyAI.")
