"""The reference's "Authentication": over HTTP with a browser, and by the tool that signs in."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from kallyai_mcp.auth.oauth_server.scopes import SCOPES as OUR_SCOPES
from kallyai_mcp.sandbox import browser_client
from kallyai_mcp.sandbox.accounts import Provider
from tests.reference.conftest import ACCOUNT, Service, bearer, code_of, example
from tests.reference.statements import STATEMENTS, each, states
from tests.sandbox.auth.requests import listening

SCOPES = tuple(scope.strip("`") for scope in STATEMENTS["Scopes"])
STATE = "a state: 1&2=é"


@states("Authentication", "OAuth2 Bearer Token", "Authorization: Bearer")
def test_a_bearer_token_in_the_authorization_header_is_needed(service: Service) -> None:
    assert service.get("/v1/calls").status_code == 200
    assert not service.use("list_calls").is_error
    assert code_of(service.http.get("/v1/calls")) == (401, "missing_token")
    assert service.http.get("/v1/calls", headers=bearer("x")).status_code == 401
    assert "Not signed in" in service.use("list_calls", token="").text


@states("Authentication Methods", "Google or Apple account")
@pytest.mark.parametrize("provider", ["google", "apple"])
def test_users_sign_in_with_their_google_or_apple_account(service: Service, provider: Provider) -> None:
    with listening() as listener:
        url = f"{service.url}/v1/auth/cli?redirect_uri={listener.redirect_uri}"
        browser_client.sign_in(url, account=ACCOUNT, provider=provider)

        assert service.http.get("/v1/calls", headers=bearer(listener.received["access_token"])).status_code == 200


@each(
    "Authentication Methods",
    {
        "Google Sign-In": ("google", "/v1/auth/google/validate", "id_token", "validate_google"),
        "Apple Sign-In": ("apple", "/v1/auth/apple/token", "identity_token", "apple_token"),
    },
)
def test_an_id_token_signs_in(service: Service, case: tuple[str, str, str, str]) -> None:
    provider, path, field, method = case
    body = service.http.post(f"/_sandbox/{provider}/id_token", json={"account": ACCOUNT}).json()
    token = service.http.post(path, json={field: body[field]}).json()["access_token"]
    granted = service.call(getattr(service.client(), method), body[field])

    for each_token in (token, granted.access_token.get_secret_value()):
        assert service.get("/v1/users/me/statistics", each_token).json()["plan_type"] == "business"
        assert not service.use("check_quota", token=each_token).is_error


@states(
    "CLI Authentication",
    "use the simplified CLI auth flow",
    "GET /v1/auth/cli",
    "`redirect_uri`",
    "`state`",
    "User sees Google/Apple sign-in page",
    "access_token=TOKEN",
)
def test_the_cli_flow_shows_a_page_and_brings_tokens_and_the_state_back(service: Service) -> None:
    with listening() as listener:
        url = httpx.URL(f"{service.url}/v1/auth/cli", params={"redirect_uri": listener.redirect_uri, "state": STATE})
        browser = browser_client.Browser()
        browser.open(str(url))
        assert all(any(name in button for button in browser.buttons) for name in ("Google", "Apple"))
        browser_client.sign_in(str(url), account=ACCOUNT)
        received = dict(listener.received)

    assert received.keys() == {"access_token", "refresh_token", "expires_in", "state"}
    assert (received["expires_in"], received["state"]) == ("3600", STATE)
    assert service.get("/v1/calls", received["access_token"]).status_code == 200


def test_the_cli_flow_needs_a_redirect_uri_and_no_state(service: Service) -> None:
    assert service.http.get("/v1/auth/cli").status_code == 400
    with listening() as listener:
        browser_client.sign_in(f"{service.url}/v1/auth/cli?redirect_uri={listener.redirect_uri}")

        assert "state" not in listener.received


@states("CLI Authentication", "Only localhost/127.0.0.1")
def test_only_loopback_redirects_are_allowed(service: Service) -> None:
    def status(uri: str) -> int:
        return service.http.get("/v1/auth/cli", params={"redirect_uri": uri}).status_code

    assert {status(uri) for uri in ("http://localhost:8080", "http://127.0.0.1:8080")} == {200}
    for uri in ("https://example.com", "http://example.com:80", "http://localhost.example.com:80", "x", ""):
        assert status(uri) == 400


def test_the_tool_signs_in_by_the_cli_flow(service: Service) -> None:
    answer = service.use("sign_in", token="", user="Ada")
    page = browser_client.sign_in(answer.data["link"], account=ACCOUNT)

    assert page
    assert service.use("sign_in", token="", user="Ada").data["who"] == "business@sandbox.test"
    assert not service.use("check_quota", token="", user="Ada").is_error


@states(
    "OAuth2 Authorization Code Flow",
    "GET /v1/auth/authorize",
    "`redirect_uri`",
    "`state`",
    "User sees Google sign-in page",
)
def test_the_code_flow_shows_a_page_and_brings_a_code_and_the_state_back(service: Service) -> None:
    received, redirect_uri = service.authorize(state=STATE)

    assert received.keys() == {"code", "state"}
    assert received["state"] == STATE
    assert redirect_uri.startswith("http://127.0.0.1:")
    assert service.authorize()[0].keys() == {"code"}


WRONG = {
    "`response_type`": {"response_type": "token"},
    "`client_id`": {"client_id": "nobody"},
}


@each("OAuth2 Authorization Code Flow", {name: (name, wrong) for name, wrong in WRONG.items()})
def test_authorize_requires_this_parameter(service: Service, case: tuple[str, dict[str, str]]) -> None:
    name, wrong = case
    query = {"response_type": "code", "client_id": "sandbox-client", "redirect_uri": "http://127.0.0.1:9/callback"}
    without = {key: value for key, value in query.items() if key != name.strip("`")}

    for changed in (without, query | wrong):
        response = service.http.get("/v1/auth/authorize", params=changed)
        location = response.headers.get("location", "")
        assert response.status_code == 400 or "error" in parse_qs(urlsplit(location).query)
    assert service.http.get("/v1/auth/authorize", params=query).status_code == 200


@states("Authentication Methods", "OAuth2 Authorization Code")
@states(
    "OAuth2 Authorization Code Flow",
    "POST /v1/auth/gpt/token",
    "grant_type=authorization_code",
    "`scope`",
    '"scope"',
    '"access_token"',
    '"refresh_token"',
    '"expires_in"',
)
def test_a_code_is_exchanged_for_tokens_with_the_scopes_that_were_asked_for(service: Service) -> None:
    tokens = service.exchange(scope="calls:read calls:write")

    told = example("token")
    assert tokens.keys() - told.keys() <= {"token_type"}  # RFC 6749 requires it
    assert {name: type(tokens[name]) for name in told} == {name: type(value) for name, value in told.items()}
    assert (tokens["scope"], tokens["expires_in"]) == (told["scope"], told["expires_in"])
    assert service.get("/v1/calls", tokens["access_token"]).status_code == 200
    assert not service.use("list_calls", token=tokens["access_token"]).is_error
    assert service.get("/v1/users/me/statistics", tokens["access_token"]).status_code == 403


@states("OAuth2 Authorization Code Flow", "grant_type=refresh_token")
def test_the_code_flows_tokens_are_refreshed(service: Service) -> None:
    refresh_token = service.exchange()["refresh_token"]
    renewed = service.exchange(grant_type="refresh_token", refresh_token=refresh_token)

    assert service.get("/v1/calls", renewed["access_token"]).status_code == 200
    assert not service.use("list_calls", token=renewed["access_token"]).is_error


@states("Token Refresh", "POST /v1/auth/refresh", '"refresh_token"')
def test_a_refresh_token_gives_a_new_access_token(service: Service) -> None:
    tokens = [service.app.state.sandbox.issue_tokens(ACCOUNT) for _ in range(2)]
    renewed = service.http.post("/v1/auth/refresh", json={"refresh_token": tokens[0]["refresh_token"]}).json()
    granted = service.call(service.client().refresh, tokens[1]["refresh_token"])

    for token in (renewed["access_token"], granted.access_token.get_secret_value()):
        assert service.get("/v1/calls", token).status_code == 200
        assert not service.use("list_calls", token=token).is_error


@pytest.fixture(scope="module")
def call_id(service: Service) -> str:
    return str(service.post_call().json()["call_id"])


USES: dict[str, list[tuple[str, str, str | None]]] = {
    "calls:read": [("GET", "/v1/calls", "list_calls"), ("GET", "/v1/calls/{call_id}", "get_call")],
    "calls:write": [("POST", "/v1/calls", "make_call")],
    "subscription:read": [
        ("GET", "/v1/users/me/statistics", "check_quota"),
        ("GET", "/v1/users/me/subscription", None),
    ],
    "billing:manage": [("GET", "/v1/stripe/billing-portal", "get_billing_link")],
    "transcripts:read": [("GET", "/v1/calls/{call_id}/transcript", "get_transcript")],
}
"""The endpoints and the tool that need each scope. The reference has no endpoint for the other scopes."""


@each("Scopes", {f"`{scope}`": scope for scope in SCOPES})
def test_this_scope_is_granted_alone_and_opens_what_it_names(service: Service, case: str, call_id: str) -> None:
    assert service.exchange(scope=case)["scope"] == case
    assert case in OUR_SCOPES
    alone, without = service.token(ACCOUNT, case), service.token(ACCOUNT, *(s for s in SCOPES if s != case))
    for method, path, tool in USES.get(case, []):
        url = path.format(call_id=call_id)
        for token, is_allowed in ((alone, True), (without, False)):
            response = service.post_call(token=token) if method == "POST" else service.get(url, token)
            assert response.status_code == (201 if method == "POST" else 200) if is_allowed else 403
            if tool == "make_call":
                answer = service.make_call({"business_name": f"Only {is_allowed}"}, token=token)
            elif tool is not None:
                answer = service.use(tool, {"call_id": call_id} if "{" in path else {}, token=token)
            else:
                continue
            assert answer.is_error is not is_allowed
            assert is_allowed or "forbidden" in answer.result.model_dump_json()
