"""The reference's "Authentication": what needs a browser, or tokens of an earlier step."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from kallyai_mcp.sandbox.accounts import Provider
from tests.reference.cases import ACCOUNT, SCOPES
from tests.reference.conftest import Service
from tests.sandbox.auth import browser_client
from tests.sandbox.auth.requests import CREDENTIALS

STATE = "a state: 1&2=é"


def accepts(service: Service, access_token: str, path: str = "/v1/calls") -> bool:
    return (
        service.http.get(path, headers={"Authorization": f"Bearer {access_token}"}).status_code
        == 200
    )


def test_the_cli_flow_takes_google_and_apple(service: Service) -> None:
    signed_in: list[tuple[Provider, dict[str, str]]] = [("google", {}), ("apple", {"state": STATE})]
    for provider, query in signed_in:
        params = {"redirect_uri": f"{browser_client.NOBODY}/"} | query
        url = httpx2.URL(f"{service.url}/v1/auth/cli", params=params)
        tokens = browser_client.answer_of(str(url), account=ACCOUNT, provider=provider)

        assert tokens.items() >= query.items()
        assert tokens.keys() == {"access_token", "refresh_token", "expires_in", *query}
        assert tokens["expires_in"] == "3600"
        assert accepts(service, tokens["access_token"])


def test_authorize_is_a_page_and_requires_three_parameters(service: Service) -> None:
    query = {
        "response_type": "code",
        "client_id": "sandbox-client",
        "redirect_uri": "http://127.0.0.1:9/callback",
    }
    page = service.http.get("/v1/auth/authorize", params=query)

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name, wrong in (
        ("response_type", "token"),
        ("client_id", "nobody"),
        ("redirect_uri", "https://x.example"),
    ):
        for changed in (
            query | {name: wrong},
            {key: value for key, value in query.items() if key != name},
        ):
            response = service.http.get("/v1/auth/authorize", params=changed)
            location = urlsplit(response.headers.get("location", ""))
            assert response.status_code == 400 or "error" in parse_qs(location.query)


REDIRECT_URI = f"{browser_client.NOBODY}/callback"


def token_request(service: Service, **form: str) -> httpx2.Response:
    return service.http.post("/v1/auth/gpt/token", data=CREDENTIALS | form)


def answer_of(service: Service, scope: str) -> dict[str, str]:
    """The answer of the code flow to a client that asks for these scopes."""
    query = {
        "response_type": "code",
        "client_id": "sandbox-client",
        "redirect_uri": REDIRECT_URI,
        "state": STATE,
        "scope": scope,
    }
    url = httpx2.URL(f"{service.url}/v1/auth/authorize", params=query)
    return browser_client.answer_of(str(url), account=ACCOUNT)


def code_form(code: str) -> dict[str, str]:
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}


ASKED = ["calls:read calls:write", " ".join(SCOPES)]


@pytest.mark.parametrize("scope", ASKED, ids=["two scopes", "all scopes"])
def test_a_code_gives_the_requested_scopes(service: Service, scope: str) -> None:
    received = answer_of(service, scope)
    tokens = token_request(service, **code_form(received["code"])).json()

    assert received == {"code": received["code"], "state": STATE}
    # As in RFC 6749.
    assert tokens.keys() == {"access_token", "refresh_token", "expires_in", "scope", "token_type"}
    assert (tokens["expires_in"], tokens["scope"]) == (3600, scope)


@pytest.mark.parametrize("scope", ASKED, ids=["two scopes", "all scopes"])
def test_a_renewed_token_has_the_same_scopes(service: Service, scope: str) -> None:
    code = answer_of(service, scope)["code"]
    tokens: dict[str, Any] = token_request(service, **code_form(code)).json()
    renewed = token_request(
        service, grant_type="refresh_token", refresh_token=tokens["refresh_token"]
    ).json()

    for access_token in (tokens["access_token"], renewed["access_token"]):
        assert accepts(service, access_token)
        assert accepts(service, access_token, "/v1/users/me/statistics") is (
            "subscription:read" in scope
        )


def test_a_code_is_exchanged_once_with_its_secret(service: Service) -> None:
    form = code_form(answer_of(service, "calls:read")["code"])
    statuses = [
        token_request(service, **form, client_secret="wrong").status_code,
        token_request(service, **form).status_code,
        token_request(service, **form).status_code,
    ]

    assert statuses == [401, 200, 400]
