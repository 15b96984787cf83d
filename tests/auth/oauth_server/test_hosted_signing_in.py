"""From a first 401 to tokens that work, as a client and a browser do it over HTTP."""

import base64

import httpx2

from kallyai_mcp.auth.oauth_server.scopes import SCOPES, needed_by_tools
from kallyai_mcp.tools.catalog import tools
from tests.auth.oauth_server.kit import REDIRECT, Ask, Deployment, Person, answer_in, onward, signed_in

NEEDED = list(needed_by_tools({tool.name: tool.spec.scopes for tool in tools()}))


async def test_a_client_that_knows_only_the_url_gets_tokens_that_work(server: Deployment, person: Person) -> None:
    refused = await server.use("nothing", "check_quota")
    tokens = await signed_in(server, person)
    quota = await server.use(tokens["access_token"], "check_quota")

    assert refused.status_code == 401
    assert "/.well-known/oauth-protected-resource/mcp" in refused.headers["www-authenticate"]
    assert "165 of 210 minutes" in quota.text
    assert tokens["scope"] == "calls:read subscription:read"
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600


async def test_the_metadata_says_what_clients_look_for(server: Deployment) -> None:
    at = f"{server.url}/.well-known/"
    resources = {
        path: (await server.http.get(f"{at}oauth-protected-resource{path}")).json() for path in ("", "/mcp", "/sse")
    }
    issuer = (await server.http.get(f"{at}oauth-authorization-server")).json()

    assert {path: document["resource"] for path, document in resources.items()} == {
        path: server.url + path for path in resources
    }
    assert resources["/mcp"]["authorization_servers"] == [issuer["issuer"]] == [server.url]
    assert resources["/mcp"]["scopes_supported"] == NEEDED
    assert issuer["scopes_supported"] == list(SCOPES)
    assert issuer["code_challenge_methods_supported"] == ["S256"]
    assert issuer["client_id_metadata_document_supported"]
    assert issuer["authorization_response_iss_parameter_supported"]
    assert {name for name in issuer if name.endswith("_endpoint")} == {
        f"{name}_endpoint" for name in ("authorization", "token", "registration", "revocation")
    }


async def test_the_answer_names_its_issuer_and_brings_the_state_back(server: Deployment, person: Person) -> None:
    client = await server.register()
    answer = answer_in(await person.allow(Ask.of(server, client["client_id"], state="a b&c=ñ").url))

    assert answer["iss"] == server.issuer
    assert answer["state"] == "a b&c=ñ"


async def test_a_redirect_address_stays_as_it_was_registered(server: Deployment, person: Person) -> None:
    address = "com.example.app:/back?from=kallyai"
    client = await server.register(redirect_uris=[address])
    landed = await person.allow(Ask.of(server, client["client_id"], redirect_uri=None).url)

    assert landed.startswith(f"{address}&code=")


async def test_a_program_may_wait_on_another_port_than_it_registered(server: Deployment, person: Person) -> None:
    client = await server.register(redirect_uris=["http://localhost/back", "http://[::1]/back"])
    pages = [
        await person.open(Ask.of(server, client["client_id"], redirect_uri=uri).url)
        for uri in ("http://localhost:4711/back", "http://[::1]:9/back")
    ]

    assert [page.status_code for page in pages] == [200, 200]


async def test_a_client_that_asks_for_nothing_in_particular_gets_what_the_tools_need(
    server: Deployment, person: Person
) -> None:
    client = await server.register()
    ask = Ask.of(server, client["client_id"], scope=None, resource=None)
    tokens = (await server.post("token", ask.form(await person.code(ask.url)))).json()

    assert tokens["scope"].split() == NEEDED
    assert (await server.use(tokens["access_token"], "check_quota")).status_code == 200


async def test_scopes_that_there_are_not_are_left_out(server: Deployment, person: Person) -> None:
    tokens = await signed_in(server, person, scope="openid calls:read offline_access")

    assert tokens["scope"] == "calls:read"


async def test_a_client_with_a_secret_needs_it(server: Deployment, person: Person) -> None:
    for method in ("client_secret_post", "client_secret_basic"):
        client = await server.register(token_endpoint_auth_method=method)
        other = await server.register(token_endpoint_auth_method=method)
        ask = Ask.of(server, client["client_id"])
        form = ask.form(await person.code(ask.url))
        without = await server.post("token", form)
        wrong = await server.post("token", form | {"client_secret": other["client_secret"]})
        pair = base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()
        right = (
            await server.post("token", form, headers={"Authorization": f"Basic {pair}"})
            if method == "client_secret_basic"
            else await server.post("token", form | {"client_secret": client["client_secret"]})
        )

        assert [without.status_code, wrong.status_code, right.status_code] == [401, 401, 200]
        assert without.json()["error"] == "invalid_client"
        assert client["client_secret_expires_at"] == 0


async def test_kallyais_tokens_can_be_read_in_nothing_that_a_client_or_browser_gets(
    server: Deployment, person: Person
) -> None:
    tokens = await signed_in(server, person)
    cookies = " ".join(cookie.value or "" for cookie in person.http.cookies.jar)
    found = await server.verify(tokens["access_token"])

    assert found is not None
    for part in found.token.split("."):
        assert part not in f"{tokens['access_token']} {tokens['refresh_token']} {cookies}"
        assert base64.urlsafe_b64encode(part.encode()).decode().strip("=")[:20] not in tokens["access_token"]


async def test_whoever_cancels_goes_back_to_the_client_with_access_denied(server: Deployment, person: Person) -> None:
    client = await server.register()
    ask = Ask.of(server, client["client_id"])
    here = answer_in(onward(await person.press(await person.open(ask.url), "deny")))
    allowed = await person.press(await person.open(ask.url), "allow")
    at_kallyai = await person.open(onward(allowed))
    back = await person.press(at_kallyai, "deny")
    there = answer_in(onward(await person.open(back.headers["location"])))

    expected = {"error": "access_denied", "state": "the client's own", "iss": server.url}
    assert here == there == expected


async def test_a_registration_says_what_it_got(server: Deployment) -> None:
    client = await server.register(client_name="  A\u202e \n name ", grant_types=["authorization_code"])

    assert client["client_name"] == "A name"
    assert client["redirect_uris"] == [REDIRECT]
    assert client["token_endpoint_auth_method"] == "none"
    assert "client_secret" not in client


async def test_two_users_of_one_client_have_their_own_accounts(server: Deployment) -> None:
    client = await server.register()
    async with Person("acct-personal") as one, Person("acct-business") as other:
        tokens = [await signed_in(server, who, client["client_id"]) for who in (one, other)]
    quotas = [await server.use(given["access_token"], "check_quota") for given in tokens]

    assert "165 of 210" in quotas[0].text
    assert "6000 of 6000" in quotas[1].text


async def test_an_sse_session_is_not_open_to_another_users_token(server: Deployment) -> None:
    client = await server.register()
    async with Person("acct-personal") as one, Person("acct-business") as other:
        mine, theirs = [await signed_in(server, who, client["client_id"]) for who in (one, other)]
    headers = {"Authorization": f"Bearer {mine['access_token']}"}
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    async with httpx2.AsyncClient() as http, http.stream("GET", f"{server.url}/sse", headers=headers) as sse:
        lines = sse.aiter_lines()
        while not (line := await anext(lines)).startswith("data: "):
            pass
        where = server.url + line.removeprefix("data: ")
        foreign = await http.post(where, json=ping, headers={"Authorization": f"Bearer {theirs['access_token']}"})
        own = await http.post(where, json=ping, headers=headers)

    assert [foreign.status_code, own.status_code] == [404, 202]
