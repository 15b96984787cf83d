"""The reference's "Authentication": what needs a browser, or tokens of an earlier step."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

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


def test_the_cli_flow_signs_in_with_google_or_apple(service: Service) -> None:
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


def test_a_code_is_exchanged_once_for_the_tokens_and_scopes_that_were_asked_for(
    service: Service,
) -> None:
    def token_request(**form: str) -> httpx2.Response:
        return service.http.post("/v1/auth/gpt/token", data=CREDENTIALS | form)

    redirect_uri = f"{browser_client.NOBODY}/callback"
    query = {
        "response_type": "code",
        "client_id": "sandbox-client",
        "redirect_uri": redirect_uri,
        "state": STATE,
    }
    for scope in ("calls:read calls:write", " ".join(SCOPES)):
        url = httpx2.URL(f"{service.url}/v1/auth/authorize", params=query | {"scope": scope})
        received = browser_client.answer_of(str(url), account=ACCOUNT)
        form = {
            "grant_type": "authorization_code",
            "code": received["code"],
            "redirect_uri": redirect_uri,
        }
        wrong_secret = token_request(**form, client_secret="wrong")
        tokens: dict[str, Any] = token_request(**form).json()
        renewed = token_request(
            grant_type="refresh_token", refresh_token=tokens["refresh_token"]
        ).json()

        assert received == {"code": received["code"], "state": STATE}
        assert wrong_secret.status_code == 401
        # As in RFC 6749.
        assert tokens.keys() == {
            "access_token",
            "refresh_token",
            "expires_in",
            "scope",
            "token_type",
        }
        assert (tokens["expires_in"], tokens["scope"]) == (3600, scope)
        for access_token in (tokens["access_token"], renewed["access_token"]):
            assert accepts(service, access_token)
            assert accepts(service, access_token, "/v1/users/me/statistics") is (
                "subscription:read" in scope
            )
        assert token_request(**form).status_code == 400
