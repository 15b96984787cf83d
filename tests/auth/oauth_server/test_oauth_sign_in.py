"""From a first 401 to working tokens, with a client and a browser over HTTP."""

import base64

import httpx2

from kallyai_mcp.auth.oauth_server.scopes import SCOPES, in_order
from kallyai_mcp.tools.catalog import tools
from tests.auth.oauth_server.deployment import REDIRECT, AuthRequest, Deployment, User, answer_in, next_url, sign_in

NEEDED = list(in_order(scope for tool in tools() for scope in tool.spec.scopes))


async def test_a_client_that_knows_only_the_url_gets_tokens_that_work(server: Deployment, user: User) -> None:
    refused = await server.use("nothing", "check_quota")
    tokens = await sign_in(server, user)
    quota = await server.use(tokens["access_token"], "check_quota")

    assert refused.status_code == 401
    assert "/.well-known/oauth-protected-resource/mcp" in refused.headers["www-authenticate"]
    assert "165 of 210 minutes" in quota.text
    assert tokens["scope"] == "calls:read subscription:read"
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600


async def test_the_metadata_has_what_clients_need(server: Deployment) -> None:
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
    assert {document["resource_name"] for document in resources.values()} == {"KallyAI phone"}
    assert issuer["scopes_supported"] == list(SCOPES)
    assert issuer["code_challenge_methods_supported"] == ["S256"]
    assert issuer["client_id_metadata_document_supported"]
    assert issuer["authorization_response_iss_parameter_supported"]
    assert {name for name in issuer if name.endswith("_endpoint")} == {
        f"{name}_endpoint" for name in ("authorization", "token", "registration", "revocation")
    }


async def test_a_program_that_reads_no_pages_is_redirected(server: Deployment, user: User) -> None:
    del user.http.headers["Sec-Fetch-Mode"]  # which every browser sends
    auth_request = AuthRequest.to(server, (await server.register())["client_id"])

    allowed = await user.press(await user.open(auth_request.url), "allow")
    back = await user.open(await user.sign_in(allowed.headers["location"]))

    assert (allowed.status_code, back.status_code) == (303, 303)
    assert back.headers["location"].startswith(REDIRECT)
    assert answer_in(back.headers["location"])["code"]


async def test_the_authorization_response_has_the_issuer_and_the_state(server: Deployment, user: User) -> None:
    client = await server.register()
    answer = answer_in(await user.allow(AuthRequest.to(server, client["client_id"], state="a b&c=ñ").url))

    assert answer["iss"] == server.issuer
    assert answer["state"] == "a b&c=ñ"


async def test_a_redirect_uri_is_used_exactly_as_registered(server: Deployment, user: User) -> None:
    address = "com.example.app:/back?from=kallyai"
    client = await server.register(redirect_uris=[address])
    landed = await user.allow(AuthRequest.to(server, client["client_id"], redirect_uri=None).url)

    assert landed.startswith(f"{address}&code=")


async def test_a_loopback_redirect_uri_may_have_any_port(server: Deployment, user: User) -> None:
    client = await server.register(redirect_uris=["http://localhost/back", "http://[::1]/back"])
    pages = [
        await user.open(AuthRequest.to(server, client["client_id"], redirect_uri=uri).url)
        for uri in ("http://localhost:4711/back", "http://[::1]:9/back")
    ]

    assert [page.status_code for page in pages] == [200, 200]


async def test_a_client_that_requests_no_scope_gets_those_that_the_tools_need(server: Deployment, user: User) -> None:
    client = await server.register()
    auth_request = AuthRequest.to(server, client["client_id"], scope=None, resource=None)
    tokens = (await server.post("token", auth_request.form(await user.code(auth_request.url)))).json()

    assert tokens["scope"].split() == NEEDED
    assert (await server.use(tokens["access_token"], "check_quota")).status_code == 200


async def test_unknown_scopes_are_left_out(server: Deployment, user: User) -> None:
    tokens = await sign_in(server, user, scope="openid calls:read offline_access")

    assert tokens["scope"] == "calls:read"


async def test_a_confidential_client_must_send_its_secret(server: Deployment, user: User) -> None:
    for method in ("client_secret_post", "client_secret_basic", None):  # None is post for the SDK
        client = await server.register(token_endpoint_auth_method=method)
        other = await server.register(token_endpoint_auth_method=method)
        auth_request = AuthRequest.to(server, client["client_id"])
        form = auth_request.form(await user.code(auth_request.url))
        without = await server.post("token", form)
        wrong = await server.post("token", form | {"client_secret": other["client_secret"]})
        pair = base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()
        if method == "client_secret_basic":  # the client_id is only in the header (RFC 6749, section 2.3.1)
            del form["client_id"]
            right = await server.post("token", form, headers={"Authorization": f"Basic {pair}"})
        else:
            right = await server.post("token", form | {"client_secret": client["client_secret"]})

        assert [without.status_code, wrong.status_code, right.status_code] == [401, 401, 200]
        assert without.json()["error"] == "invalid_client"
        assert client["client_secret_expires_at"] == 0


async def test_neither_client_nor_browser_can_read_kallyais_tokens(server: Deployment, user: User) -> None:
    tokens = await sign_in(server, user)
    cookies = " ".join(cookie.value or "" for cookie in user.http.cookies.jar)
    found = await server.verify(tokens["access_token"])

    assert found is not None
    for part in found.token.split("."):
        assert part not in f"{tokens['access_token']} {tokens['refresh_token']} {cookies}"
        assert base64.urlsafe_b64encode(part.encode()).decode().strip("=")[:20] not in tokens["access_token"]


async def test_a_user_who_cancels_returns_to_the_client_with_access_denied(server: Deployment, user: User) -> None:
    client = await server.register()
    auth_request = AuthRequest.to(server, client["client_id"])
    here = answer_in(next_url(await user.press(await user.open(auth_request.url), "deny")))
    allowed = await user.press(await user.open(auth_request.url), "allow")
    at_kallyai = await user.open(next_url(allowed))
    back = await user.press(at_kallyai, "deny")
    there = answer_in(next_url(await user.open(back.headers["location"])))

    expected = {"error": "access_denied", "state": "the client's own", "iss": server.url}
    assert here == there == expected


async def test_a_registration_response_has_the_registered_metadata(server: Deployment) -> None:
    client = await server.register(client_name="  A\u202e \n name ", grant_types=["authorization_code"])

    assert client["client_name"] == "A name"
    assert client["redirect_uris"] == [REDIRECT]
    assert client["token_endpoint_auth_method"] == "none"
    assert "client_secret" not in client


async def test_two_users_of_one_client_have_their_own_accounts(server: Deployment) -> None:
    client = await server.register()
    async with User("acct-personal") as one, User("acct-business") as other:
        tokens = [await sign_in(server, who, client["client_id"]) for who in (one, other)]
    quotas = [await server.use(given["access_token"], "check_quota") for given in tokens]

    assert "165 of 210" in quotas[0].text
    assert "6000 of 6000" in quotas[1].text


async def test_an_sse_session_refuses_another_users_token(server: Deployment) -> None:
    client = await server.register()
    async with User("acct-personal") as one, User("acct-business") as other:
        mine, theirs = [await sign_in(server, who, client["client_id"]) for who in (one, other)]
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
