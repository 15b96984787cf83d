"""A client over HTTP says which language its user reads by the header Accept-Language, as browsers do."""

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
