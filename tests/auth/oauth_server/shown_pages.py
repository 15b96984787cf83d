"""The pages of the hosted sign-in without a server, for checks and pictures in a browser."""

import json
import secrets

import httpx2
from starlette.applications import Starlette

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.auth.oauth_server.provider import Provider
from kallyai_mcp.auth.oauth_server.routes import oauth_routes
from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens
from kallyai_mcp.auth.oauth_server.stored import Stored
from tests.auth.oauth_server.deployment import flow_in

ISSUER = "https://phone.example.com"
API = "https://api.kallyai.com"
REDIRECT = "https://claude.ai/api/mcp/auth_callback"


def stored_in_memory() -> Stored:
    """What a server stores, for one browser."""
    values: dict[tuple[str, str], str] = {}

    async def put(kind: str, name: str, value: str, _: float) -> str | None:
        before = values.get((kind, name))
        values[kind, name] = value
        return before

    async def get(kind: str, name: str) -> str | None:
        return values.get((kind, name))

    async def all_of(kind: str) -> dict[str, str]:
        return {name: value for (of, name), value in values.items() if of == kind}

    return Stored(put, get, all_of)


async def shown_pages(
    language: str, scopes: str, *, name: str, publisher: str | None = "claude.ai"
) -> dict[str, str]:
    """The HTML of each page. Without a publisher, the client is a registered one."""
    url = f"https://{publisher}/oauth/client.json"

    async def fetch(_: str) -> bytes:
        return json.dumps(
            {"client_id": url, "client_name": name, "redirect_uris": [REDIRECT]}
        ).encode()

    api = KallyAI(API, user_agent="tests")
    sealed = SealedTokens([secrets.token_bytes(32)], ISSUER)
    provider = Provider(ISSUER, sealed, stored_in_memory(), fetch, lambda: api, "", "", ())
    app = Starlette(routes=list(oauth_routes(provider)))
    transport, headers = httpx2.ASGITransport(app), {"Accept-Language": language}
    async with httpx2.AsyncClient(
        transport=transport, base_url=ISSUER, headers=headers, follow_redirects=True
    ) as http:
        metadata = {"client_name": name, "redirect_uris": [REDIRECT]}
        client = (
            url
            if publisher
            else (await http.post("/oauth/register", json=metadata)).json()["client_id"]
        )
        query = {
            "client_id": client,
            "response_type": "code",
            "code_challenge": "x",
            "scope": scopes,
            "redirect_uri": REDIRECT,
        }
        consent = await http.get("/oauth/authorize", params=query)
        flow = flow_in(consent)
        forward = await http.post("/oauth/consent", data={"flow": flow, "decision": "allow"})
        back = await http.get("/oauth/callback", params={"state": flow, "code": "x"})
        return {
            "consent": consent.text,
            "problem": (
                await http.get("/oauth/authorize", params=query | {"redirect_uri": "https://x"})
            ).text,
            "refused": (await http.get("/oauth/authorize", params=query | {"scope": "x"})).text,
            "to KallyAI": forward.text.replace('http-equiv="refresh"', ""),
            "to the client": back.text.replace('http-equiv="refresh"', ""),
            "home": (await http.get("/")).text,
        }
