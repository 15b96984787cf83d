"""What OAuth's standards say, and the SDK's handlers do otherwise."""

import base64
import hashlib
import string
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.auth.oauth_server.deployment import (
    READ_SCOPES,
    REDIRECT,
    VERIFIER,
    Deployment,
    User,
    answer_in,
    deploy,
    opened,
    sign_in,
)
from tests.transports.http_server import RunningSandbox

FORM = "application/x-www-form-urlencoded"


def error_in(response: Any) -> tuple[int, str]:
    """The status of a refusal, and its error."""
    return response.status_code, response.json()["error"]


@pytest.mark.parametrize("named", [{}, {"redirect_uri": REDIRECT}])
async def test_the_only_redirect_uri_may_be_left_out(
    server: Deployment, user: User, named: dict[str, str]
) -> None:
    """RFC 6749, section 3.1.2.3; the token request needs it only if the first one had it."""
    client = await server.new_client()
    landed = await user.allow(server.authorize_url(client, redirect_uri=None))
    form = {"grant_type": "authorization_code", "client_id": client, "code_verifier": VERIFIER}
    answer = await server.post("token", form | {"code": answer_in(landed)["code"]} | named)

    assert landed.startswith(f"{REDIRECT}?")
    assert answer.status_code == 200, answer.text


async def test_a_redirect_uri_must_be_named_twice(server: Deployment, user: User) -> None:
    client = await server.new_client()
    named = await user.code(server.authorize_url(client))
    left_out = await user.code(server.authorize_url(client, redirect_uri=None))
    form = {"grant_type": "authorization_code", "client_id": client, "code_verifier": VERIFIER}
    without = await server.post("token", form | {"code": named})
    other = await server.redeem(client, left_out, redirect_uri=f"{REDIRECT}/other")

    assert error_in(without) == error_in(other) == (400, "invalid_request")


async def test_of_two_redirect_uris_one_must_be_named(server: Deployment, user: User) -> None:
    two = [REDIRECT, "https://client.example/back"]
    client = (await server.register(redirect_uris=two))["client_id"]
    page = await user.open(server.authorize_url(client, redirect_uri=None))

    assert page.status_code == 400
    assert "location" not in page.headers


VERIFIERS = {
    "v" * 42: 400,
    "v" * 43: 200,
    f"{string.ascii_letters}{string.digits}-._~": 200,
    "v" * 128: 200,
    "v" * 129: 400,
    "v" * 42 + "+": 400,
    "v" * 42 + "é": 400,
    "v" * 43 + "\n": 400,
}


@pytest.mark.parametrize("verifier", VERIFIERS)
async def test_a_verifier_has_43_to_128_unreserved_characters(
    server: Deployment, user: User, verifier: str
) -> None:
    """RFC 7636, section 4.1; each of these is the right one for its challenge."""
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    client = await server.new_client()
    code = await user.code(server.authorize_url(client, code_challenge=challenge))
    answer = await server.redeem(client, code, code_verifier=verifier)

    assert answer.status_code == VERIFIERS[verifier], answer.text
    if answer.status_code == 400:
        assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("endpoint", ["token", "revoke"])
async def test_a_body_that_is_no_form_is_refused(
    server: Deployment, user: User, endpoint: str
) -> None:
    tokens = await sign_in(server, user)
    fields = {"client_id": tokens["client_id"], "grant_type": "refresh_token"}
    fields |= dict.fromkeys(("token", "refresh_token"), tokens["refresh_token"])
    url, text = f"{server.url}/oauth/{endpoint}", urlencode(fields)
    refused = [
        await server.http.post(url, json=fields),
        await server.http.post(url, files={name: (None, text) for name, text in fields.items()}),
        await server.http.post(url, content=text, headers={"Content-Type": "text/plain"}),
        await server.http.post(url, content=text),
    ]
    kind = {"Content-Type": f"{FORM.upper()}; charset=UTF-8"}
    accepted = await server.http.post(url, content=text, headers=kind)

    assert [error_in(response) for response in refused] == [(400, "invalid_request")] * 4
    assert accepted.status_code == 200, accepted.text


async def test_an_error_has_a_description_of_one_line(server: Deployment) -> None:
    """RFC 6749, section 5.2: without quotation marks and backslashes."""
    code = {"grant_type": "authorization_code", "client_id": await server.new_client()}
    metadata = {"redirect_uris": 7, "grant_types": 'a"\\', "client_uri": "\n"}
    answers = [
        await server.post("token", code),
        await server.post("revoke", {"client_id": code["client_id"]}),
        await server.http.post(f"{server.url}/oauth/register", json=metadata),
    ]
    allowed = {chr(number) for number in range(0x20, 0x7F)} - {'"', "\\"}
    for answer in answers:
        description = answer.json()["error_description"]

        assert answer.status_code == 400
        assert description
        assert set(description) <= allowed, description


async def test_a_client_that_is_unknown_can_not_revoke(server: Deployment) -> None:
    """RFC 7009, section 2.2.1, and RFC 6749, section 5.2."""
    client = await server.register(token_endpoint_auth_method="client_secret_post")
    form = {"token": "x", "client_id": client["client_id"]}
    for changes in ({"client_id": "x"}, {}, {"client_secret": "x"}):
        answer = await server.post("revoke", form | changes)

        assert error_in(answer) == (401, "invalid_client")


GRANTS = {"password": "unsupported_grant_type", "urn:x": "unsupported_grant_type"}


@pytest.mark.parametrize("grant", [*GRANTS, "", None])
async def test_an_unknown_grant_type_is_the_error(server: Deployment, grant: str | None) -> None:
    form = {"client_id": await server.new_client()} | (
        {} if grant is None else {"grant_type": grant}
    )

    assert error_in(await server.post("token", form)) == (
        400,
        GRANTS.get(grant or "", "invalid_request"),
    )


async def test_a_refresh_token_needs_its_grant_type(server: Deployment, user: User) -> None:
    kinds = {
        ("authorization_code",): False,
        ("authorization_code", "refresh_token"): True,
        None: True,
    }
    for grants, is_given in kinds.items():
        metadata = {} if grants is None else {"grant_types": list(grants)}
        client = await server.register(**metadata)
        tokens = await sign_in(server, user, client["client_id"])

        assert ("refresh_token" in tokens) == is_given, grants
        assert ("refresh_token" in client["grant_types"]) == is_given


async def test_a_client_document_may_name_refresh_tokens(
    sandbox: RunningSandbox, user: User
) -> None:
    url = "https://app.example/client.json"

    async def fetch(_: str) -> bytes:
        return f'{{"client_id": "{url}", "redirect_uris": ["{REDIRECT}"], {grants}}}'.encode()

    async with deploy(sandbox, fetch=fetch) as server:
        grants = '"grant_types": ["authorization_code"]'
        without = await sign_in(server, user, url)
        grants = '"grant_types": ["authorization_code", "refresh_token"]'
        with_it = await sign_in(server, user, url)

    assert "refresh_token" not in without
    assert with_it["refresh_token"]


async def test_a_renewal_with_fewer_scopes_gives_fewer(server: Deployment, user: User) -> None:
    """RFC 6749, section 6: the refresh token keeps its scopes."""
    tokens = await sign_in(server, user)
    fewer = await server.renew(tokens, scope="calls:read")
    more = await server.renew(tokens | fewer.json(), scope=f"{READ_SCOPES} calls:write")
    all_again = await server.renew(tokens | fewer.json())

    assert fewer.json()["scope"] == "calls:read"
    assert opened(server, fewer.json()["access_token"])["scopes"] == ["calls:read"]
    assert (await server.use(fewer.json()["access_token"], "check_quota")).status_code == 403
    assert error_in(more) == (400, "invalid_scope")
    assert all_again.json()["scope"] == READ_SCOPES
