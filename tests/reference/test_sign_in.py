"""The reference's "Authentication": over HTTP with a browser, and by the tool that signs in."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import BadRequestError, ServiceError
from kallyai_mcp.auth.oauth_server.scopes import SCOPES as OUR_SCOPES
from kallyai_mcp.sandbox import browser_client
from kallyai_mcp.sandbox.accounts import Provider
from tests.reference.conftest import ACCOUNT, Service, bearer, code_of, example
from tests.reference.statements import STATEMENTS, each, fields, states
from tests.sandbox.auth.requests import listening

SCOPES = tuple(scope.strip("`") for scope in STATEMENTS["Scopes"])
STATE = "a state: 1&2=é"


@states("Authentication", "OAuth2 Bearer Token")
def test_a_request_needs_a_token(service: Service) -> None:
    assert code_of(service.http.get("/v1/calls")) == (401, "missing_token")
    assert service.http.get("/v1/calls", headers=bearer("x")).status_code == 401
    assert service.use("list_calls", token="token-of-nobody").is_error
    assert "Not signed in" in service.use("list_calls", token="").text


@states("Authentication", "Authorization: Bearer")
def test_the_token_is_a_bearer_in_the_authorization_header(service: Service) -> None:
    assert service.http.get("/v1/calls", headers={"Authorization": f"Bearer {service.token()}"}).status_code == 200
    assert service.http.get("/v1/calls", headers={"Authorization": f"Basic {service.token()}"}).status_code == 401
    assert service.http.get("/v1/calls", params={"access_token": service.token()}).status_code == 401
    assert not service.use("list_calls").is_error


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


@dataclass(frozen=True)
class CliFlow:
    """The names of the sign-in page's buttons, where the browser was sent, and what the redirect brought."""

    buttons: tuple[str, ...]
    redirect_uri: str
    received: dict[str, str]


@pytest.fixture(scope="module")
def cli_flow(service: Service) -> CliFlow:
    with listening() as listener:
        url = httpx2.URL(f"{service.url}/v1/auth/cli", params={"redirect_uri": listener.redirect_uri, "state": STATE})
        browser = browser_client.Browser()
        browser.open(str(url))
        browser_client.sign_in(str(url), account=ACCOUNT)
        return CliFlow(browser.buttons, listener.redirect_uri, dict(listener.received))


@states("CLI Authentication", "use the simplified CLI auth flow")
def test_the_tool_signs_in_by_the_cli_flow(service: Service) -> None:
    answer = service.use("sign_in", token="", user="Ada")
    page = browser_client.sign_in(answer.data["link"], account=ACCOUNT)

    assert page
    assert service.use("sign_in", token="", user="Ada").data["who"] == "business@sandbox.test"
    assert not service.use("check_quota", token="", user="Ada").is_error


@states("CLI Authentication", "GET /v1/auth/cli")
def test_the_cli_flow_begins_with_a_page(service: Service) -> None:
    page = service.http.get("/v1/auth/cli", params={"redirect_uri": "http://localhost:8080"})

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert urlsplit(KallyAI.cli_auth_url(service.url, "http://localhost:8080")).path == "/v1/auth/cli"


@states("CLI Authentication", "`redirect_uri`")
def test_the_cli_flow_needs_a_redirect_uri(service: Service, cli_flow: CliFlow) -> None:
    assert service.http.get("/v1/auth/cli").status_code == 400
    assert cli_flow.redirect_uri.startswith("http://127.0.0.1:")


@states("CLI Authentication", "`state`")
def test_the_cli_flow_brings_the_state_back_if_there_is_one(service: Service, cli_flow: CliFlow) -> None:
    with listening() as listener:
        browser_client.sign_in(f"{service.url}/v1/auth/cli?redirect_uri={listener.redirect_uri}")

        assert "state" not in listener.received
    assert cli_flow.received["state"] == STATE


@states("CLI Authentication", "User sees Google/Apple sign-in page")
def test_the_page_of_the_cli_flow_has_google_and_apple(cli_flow: CliFlow) -> None:
    assert all(any(name in button for button in cli_flow.buttons) for name in ("Google", "Apple"))


@states("CLI Authentication", "access_token=TOKEN")
def test_the_cli_flow_redirects_with_tokens(service: Service, cli_flow: CliFlow) -> None:
    assert cli_flow.received.keys() == {"access_token", "refresh_token", "expires_in", "state"}
    assert cli_flow.received["expires_in"] == "3600"
    assert service.get("/v1/calls", cli_flow.received["access_token"]).status_code == 200
    assert service.http.post("/v1/auth/refresh", json={"refresh_token": cli_flow.received["refresh_token"]}).is_success


@states("CLI Authentication", "Only localhost/127.0.0.1")
def test_only_loopback_redirects_are_allowed(service: Service) -> None:
    def status(uri: str) -> int:
        return service.http.get("/v1/auth/cli", params={"redirect_uri": uri}).status_code

    assert {status(uri) for uri in ("http://localhost:8080", "http://127.0.0.1:8080")} == {200}
    for uri in ("https://example.com", "http://example.com:80", "http://localhost.example.com:80", "x", ""):
        assert status(uri) == 400


@states("OAuth2 Authorization Code Flow", "GET /v1/auth/authorize")
def test_the_code_flow_begins_with_a_page(service: Service) -> None:
    page = service.http.get(KallyAI.authorize_url(service.url, "sandbox-client", "http://127.0.0.1:9/callback"))

    assert page.status_code == 200
    assert page.request.url.path == "/v1/auth/authorize"
    assert page.headers["content-type"].startswith("text/html")


@states("OAuth2 Authorization Code Flow", "`redirect_uri`")
def test_the_code_flow_goes_to_the_redirect_uri_with_a_code(service: Service) -> None:
    received, redirect_uri = service.authorize()
    query = {"response_type": "code", "client_id": "sandbox-client"}

    assert received.keys() == {"code"}
    assert redirect_uri.startswith("http://127.0.0.1:")
    assert service.http.get("/v1/auth/authorize", params=query).status_code == 400


@states("OAuth2 Authorization Code Flow", "`state`")
def test_the_code_flow_brings_the_state_back_if_there_is_one(service: Service) -> None:
    assert service.authorize(state=STATE)[0]["state"] == STATE
    assert "state" not in service.authorize()[0]


@states("OAuth2 Authorization Code Flow", "User sees Google sign-in page")
def test_the_page_of_the_code_flow_has_google_and_leads_to_the_redirect_uri(service: Service) -> None:
    received, redirect_uri = service.authorize(provider="google", state=STATE)

    assert received.keys() == {"code", "state"}
    assert redirect_uri


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


@pytest.fixture(scope="module")
def granted(service: Service) -> dict[str, Any]:
    """The token response of the code flow, for two scopes."""
    return service.exchange(scope="calls:read calls:write")


@states("Authentication Methods", "OAuth2 Authorization Code")
def test_the_code_flow_signs_in(service: Service, granted: dict[str, Any]) -> None:
    assert service.get("/v1/calls", granted["access_token"]).status_code == 200
    assert not service.use("list_calls", token=granted["access_token"]).is_error


@states("OAuth2 Authorization Code Flow", "`scope`")
def test_the_code_flow_grants_the_scopes_that_were_asked_for(service: Service, granted: dict[str, Any]) -> None:
    assert service.get("/v1/users/me/statistics", granted["access_token"]).status_code == 403
    assert service.use("check_quota", token=granted["access_token"]).is_error


@states("OAuth2 Authorization Code Flow", "POST /v1/auth/gpt/token")
def test_the_token_endpoint_takes_a_form(service: Service) -> None:
    form = {"grant_type": "authorization_code", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}

    assert service.http.post("/v1/auth/gpt/token", json=form).is_client_error
    assert service.http.post("/v1/auth/gpt/token", data=form | {"client_secret": "wrong"}).status_code == 401


@states("OAuth2 Authorization Code Flow", "grant_type=authorization_code")
def test_a_code_is_exchanged_once_by_the_client_that_it_is_for(service: Service) -> None:
    received, redirect_uri = service.authorize()
    ours = (received["code"], redirect_uri, "sandbox-client", "sandbox-secret")
    granted = service.call(service.client().exchange_code, *ours)

    assert service.get("/v1/calls", granted.access_token.get_secret_value()).status_code == 200
    with pytest.raises(BadRequestError):
        service.call(service.client().exchange_code, *ours)


@fields("OAuth2 Authorization Code Flow", "access_token", "refresh_token", "expires_in", "scope")
def test_the_token_response_has_this_field(granted: dict[str, Any], case: str) -> None:
    told = example("token")

    assert granted.keys() - told.keys() <= {"token_type"}  # RFC 6749 requires it
    assert type(granted[case]) is type(told[case])
    assert case.endswith("_token") or granted[case] == told[case]


@states("OAuth2 Authorization Code Flow", "grant_type=refresh_token")
def test_the_code_flows_tokens_are_refreshed(service: Service) -> None:
    refresh_token = service.exchange()["refresh_token"]
    renewed = service.exchange(grant_type="refresh_token", refresh_token=refresh_token)

    assert service.get("/v1/calls", renewed["access_token"]).status_code == 200
    assert not service.use("list_calls", token=renewed["access_token"]).is_error


@states("Token Refresh", "POST /v1/auth/refresh")
def test_a_refresh_token_gives_a_new_access_token(service: Service) -> None:
    tokens = [service.app.state.sandbox.issue_tokens(ACCOUNT) for _ in range(2)]
    renewed = service.http.post("/v1/auth/refresh", json={"refresh_token": tokens[0]["refresh_token"]}).json()
    granted = service.call(service.client().refresh, tokens[1]["refresh_token"])

    for token in (renewed["access_token"], granted.access_token.get_secret_value()):
        assert service.get("/v1/calls", token).status_code == 200
        assert not service.use("list_calls", token=token).is_error


@states("Token Refresh", '"refresh_token"')
def test_a_refresh_without_a_good_refresh_token_is_refused(service: Service) -> None:
    for body in ({}, {"refresh_token": "x"}, {"refresh_token": 1}):
        assert service.http.post("/v1/auth/refresh", json=body).status_code in (400, 401)
    with pytest.raises(ServiceError):
        service.call(service.client().refresh, "x")


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
