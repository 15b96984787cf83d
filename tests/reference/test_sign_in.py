"""The reference's "Authentication": what needs a browser, or tokens of an earlier step."""

import uuid
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from kallyai_mcp.sandbox.accounts import Provider
from tests.reference.cases import ACCOUNT, SCOPES, Ask, states
from tests.reference.conftest import Service
from tests.sandbox.auth import browser_client
from tests.sandbox.auth.requests import CREDENTIALS

STATE = "a state: 1&2=é"


@states("Authentication Methods", "Google or Apple account")
@states("CLI Authentication", "use the simplified CLI auth flow", "GET /v1/auth/cli", "`redirect_uri`", "`state`",
        "User sees Google/Apple sign-in page", "access_token=TOKEN")  # fmt: skip
@pytest.mark.parametrize("provider", ["google", "apple"])
def test_the_cli_flow_signs_in_with_google_or_apple(service: Service, provider: Provider) -> None:
    for query in ({}, {"state": STATE}):
        params = {"redirect_uri": f"{browser_client.NOBODY}/"} | query
        url = httpx2.URL(f"{service.url}/v1/auth/cli", params=params)
        tokens = browser_client.answer_of(str(url), account=ACCOUNT, provider=provider)

        assert tokens.items() >= query.items()
        assert tokens.keys() == {"access_token", "refresh_token", "expires_in", *query}
        assert tokens["expires_in"] == "3600"
        assert service.accepts(tokens["access_token"])


@states("CLI Authentication", "Only localhost/127.0.0.1")
def test_only_loopback_redirects_are_allowed(service: Service) -> None:
    def status(uri: str | None) -> int:
        return service.http.get("/v1/auth/cli", params={} if uri is None else {"redirect_uri": uri}).status_code

    assert {status(uri) for uri in ("http://localhost:8080", "http://127.0.0.1:8080")} == {200}
    wrong = ("https://example.com", "http://example.com:80", "http://localhost.example.com:80", "x", "", None)
    assert {status(uri) for uri in wrong} == {400}


@states("OAuth2 Authorization Code Flow", "GET /v1/auth/authorize", "`response_type`", "`client_id`", "`redirect_uri`")
def test_authorize_is_a_page_and_requires_three_parameters(service: Service) -> None:
    query = {"response_type": "code", "client_id": "sandbox-client", "redirect_uri": "http://127.0.0.1:9/callback"}
    page = service.http.get("/v1/auth/authorize", params=query)

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name, wrong in (("response_type", "token"), ("client_id", "nobody"), ("redirect_uri", "https://x.example")):
        for changed in (query | {name: wrong}, {key: value for key, value in query.items() if key != name}):
            response = service.http.get("/v1/auth/authorize", params=changed)
            location = urlsplit(response.headers.get("location", ""))
            assert response.status_code == 400 or "error" in parse_qs(location.query)


@states("Authentication Methods", "OAuth2 Authorization Code")
@states("OAuth2 Authorization Code Flow", "`state`", "`scope`", "User sees Google sign-in page",
        "POST /v1/auth/gpt/token", "grant_type=authorization_code", '"access_token"', '"refresh_token"', '"expires_in"',
        '"scope"')  # fmt: skip
def test_a_code_is_exchanged_once_for_the_tokens_and_scopes_that_were_asked_for(service: Service) -> None:
    received, redirect_uri = service.authorize(state=STATE, scope="calls:read calls:write")
    form = {"grant_type": "authorization_code", "code": received["code"], "redirect_uri": redirect_uri}
    answers = [service.http.post("/v1/auth/gpt/token", data=form | CREDENTIALS | changes)
               for changes in ({"client_secret": "wrong"}, {}, {})]  # fmt: skip
    tokens = answers[1].json()

    assert received == {"code": received["code"], "state": STATE}
    assert "state" not in service.authorize()[0]
    assert [answer.status_code for answer in answers] == [401, 200, 400]
    assert tokens.keys() == {"access_token", "refresh_token", "expires_in", "scope", "token_type"}  # as in RFC 6749
    assert (tokens["expires_in"], tokens["scope"]) == (3600, "calls:read calls:write")
    other = service.exchange(scope="calls:read calls:write")["access_token"]
    assert service.accepts(other)
    assert not service.accepts(other, "/v1/users/me/statistics")


@states("OAuth2 Authorization Code Flow", "grant_type=refresh_token")
def test_the_code_flows_tokens_are_refreshed(service: Service) -> None:
    renewed = service.exchange(grant_type="refresh_token", refresh_token=service.exchange()["refresh_token"])

    assert service.accepts(renewed["access_token"])


@states("Authentication Methods", "Google Sign-In", "Apple Sign-In")
@pytest.mark.parametrize(
    ("provider", "path", "name"),
    [("google", "/v1/auth/google/validate", "id_token"), ("apple", "/v1/auth/apple/token", "identity_token")],
)
def test_an_id_token_signs_in(service: Service, provider: str, path: str, name: str) -> None:
    id_token = service.http.post(f"/_sandbox/{provider}/id_token", json={"account": ACCOUNT}).json()[name]
    tokens = service.http.post(path, json={name: id_token}).json()

    assert service.accepts(tokens["access_token"])


@states("Token Refresh", "POST /v1/auth/refresh", '"refresh_token"')
def test_a_refresh_token_gives_a_new_access_token(service: Service) -> None:
    tokens = service.app.state.sandbox.issue_tokens(ACCOUNT)
    renewed = service.http.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).json()

    assert service.accepts(renewed["access_token"])
    for body in ({}, {"refresh_token": "x"}, {"refresh_token": 1}):
        assert service.http.post("/v1/auth/refresh", json=body).status_code in (400, 401)


@states("Scopes", *(f"`{scope}`" for scope in SCOPES))
@pytest.mark.parametrize("scope", SCOPES)
def test_each_scope_is_granted_alone(service: Service, scope: str) -> None:
    assert service.exchange(scope=scope)["scope"] == scope


@states("Create Call", "Idempotency-Key", "auto-generated for GPT clients")
def test_a_key_makes_one_call_of_two_requests_and_is_generated_for_a_client_of_the_code_flow(service: Service) -> None:
    def place(token: str, key: str | None) -> str:
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        body = Ask.call(business_name=f"Keyed {key}").body
        call_id: str = service.http.post("/v1/calls", json=body, headers=headers).json()["call_id"]
        return call_id

    own, code_flow, key = service.token(), service.exchange()["access_token"], str(uuid.uuid4())
    assert place(own, key) == place(own, key)
    assert place(own, None) != place(own, None)
    assert place(code_flow, None) == place(code_flow, None)


def test_billing_links_open(service: Service) -> None:
    portal = service.send(Ask("GET", "/v1/stripe/billing-portal")).json()["url"]
    managed = service.send(Ask("GET", "/v1/users/me/subscription")).json()["management_url"]

    assert [httpx2.get(url).status_code for url in (portal, managed)] == [200, 200]
