"""The pages that a user sees, consent and sign-out, and that nobody else can submit their forms."""

import base64
import json
import re
import tomllib
from html import unescape
from importlib.resources import files

import httpx2
import pytest

from kallyai_mcp.auth.pages import texts
from tests.auth.oauth_server.deployment import AuthRequest, Deployment, User, answer_in, deploy, next_url, sign_in
from tests.transports.http_server import RunningSandbox


@pytest.mark.parametrize(
    ("language", "heading", "button"),
    [
        ("en", "Phone calls for your AI agent", "Add to Cursor"),
        ("es", "Llamadas telefónicas para tu agente de IA", "Añadir a Cursor"),
    ],
)
async def test_the_servers_address_opens_a_page_that_says_how_to_connect_and_disconnect_apps(
    server: Deployment, language: str, heading: str, button: str
) -> None:
    async with User(language=language) as user:
        page = await user.open(f"{server.url}/")
        links = [unescape(link) for link in re.findall(r'<a [^>]*href="([^"]+)"', page.text)]
        cursor, vs_code = (httpx2.URL(link).params["config"] for link in links if "install" in link)
        listed = await user.open(f"{server.url}{links[-1]}")

    assert page.status_code == 200
    assert f"<h1>{heading}</h1>" in page.text
    assert button in page.text
    assert json.loads(base64.b64decode(cursor)) == {"url": f"{server.issuer}/mcp"}
    assert json.loads(vs_code) == {"type": "http", "url": f"{server.issuer}/mcp"}
    assert f"<code>{server.issuer}/mcp</code>" in page.text
    assert listed.status_code == 200


async def test_the_consent_page_shows_the_client_its_redirect_uri_and_the_scopes(
    server: Deployment, user: User
) -> None:
    client = await server.register(client_name="Example", redirect_uris=["https://client.example/back?x=1&y=2"])
    page = await user.open(AuthRequest.to(server, client["client_id"], redirect_uri=None).url)

    assert "Connect “Example” to your KallyAI account?" in page.text
    assert '<dd class="host">client.example</dd>' in page.text
    assert "https://client.example/back?x=1&amp;y=2" in page.text
    assert texts("kallyai_mcp.auth.oauth_server", "scopes", "en")["calls:read"] in page.text
    assert texts("kallyai_mcp.auth.oauth_server", "scopes", "en")["calls:write"] not in page.text
    assert '<link rel="icon" type="image/svg+xml" href="data:image/svg+xml;base64,' in page.text
    assert "img-src data:" in page.headers["content-security-policy"]


async def test_html_in_a_clients_name_is_escaped(server: Deployment, user: User) -> None:
    name = "<script>alert(1)</script>\"'><form action=//evil.example>\u202e\u200b{t}"
    client = await server.register(client_name=name)
    page = await user.open(AuthRequest.to(server, client["client_id"]).url)
    await sign_in(server, user, client["client_id"])
    sign_out = await user.open(f"{server.url}/oauth/sign-out")

    for shown in (page.text, sign_out.text):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
        assert shown.count("<form") == 1
        assert "<script" not in shown
        assert not {"\u202e", "\u200b"} & set(shown)


async def test_no_page_can_be_framed_or_stored_or_loads_anything(server: Deployment, user: User) -> None:
    client = await server.register()
    consent = await user.open(AuthRequest.to(server, client["client_id"]).url)
    pages = [
        consent,
        await user.press(consent, "allow"),
        await user.open(f"{server.url}/oauth/sign-out"),
        await user.open(f"{server.url}/oauth/callback?state=x&code=y"),
        await user.open(f"{server.url}/oauth/authorize"),
    ]
    for page in pages:
        policy = page.headers["content-security-policy"]

        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert re.search(r"form-action '(self|none)'", policy)
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        # Without a referrer a form has no origin either; no referrer is sent to another site.
        has_form = "<form" in page.text
        assert page.headers["referrer-policy"] == ("same-origin" if has_form else "no-referrer")


@pytest.mark.parametrize("package", ["kallyai_mcp.auth", "kallyai_mcp.auth.oauth_server"])
def test_both_languages_have_the_same_placeholders_and_every_placeholder_has_a_text(package: str) -> None:
    tables = tomllib.loads(files(package).joinpath("texts.toml").read_text(encoding="utf-8"))
    for page in tables:
        english, spanish = texts(package, page, "en"), texts(package, page, "es")

        assert english.keys() == spanish.keys()
        for name in english:
            assert re.findall(r"\{\w+\}", english[name]) == re.findall(r"\{\w+\}", spanish[name])


FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


async def test_only_the_page_and_the_browser_that_asked_can_allow(server: Deployment, user: User) -> None:
    client = await server.register()
    url = f"{server.url}/oauth/consent"
    page = await user.open(AuthRequest.to(server, client["client_id"]).url)
    form = {"flow": _flow(page.text), "decision": "allow"}
    refused = [await user.http.post(url, data=form, headers=headers) for headers in FOREIGN]
    async with User() as other:
        refused.append(await other.press(page, "allow"))
        theirs = await other.open(AuthRequest.to(server, client["client_id"]).url)
        refused.append(await other.press(page, "allow"))
        # As a page of another site: the browser sends our cookie, and the page knows a flow of its own browser.
        own = {"Origin": server.url}
        refused.append(await user.http.post(url, data=form | {"flow": _flow(theirs.text)}, headers=own))

    assert [response.status_code for response in refused] == [403] * 7
    assert not any("refresh" in response.text for response in refused)


async def test_the_callback_works_once_in_the_browser_that_allowed(server: Deployment, user: User) -> None:
    auth_request = AuthRequest.to(server, (await server.register())["client_id"])
    page = await user.open(auth_request.url)
    before = await user.open(f"{server.url}/oauth/callback?state={_flow(page.text)}&code=stolen")
    await user.press(page, "allow")
    failed = f"{server.url}/oauth/callback?state={_flow(page.text)}&error=temporarily_unavailable"
    error = answer_in(next_url(await user.open(failed)))["error"]
    callback = await user.callback_url(auth_request.url)
    async with User() as other:
        foreign = await other.open(callback)
    own = await user.open(callback)
    again = await user.open(callback)

    assert before.status_code == foreign.status_code == again.status_code == 400
    assert "another browser" in foreign.text
    assert error == "server_error"
    assert answer_in(next_url(own))["code"]


async def test_a_consent_page_and_a_sign_in_expire(sandbox: RunningSandbox, server: Deployment, user: User) -> None:
    client = await server.register()
    page = await user.open(AuthRequest.to(server, client["client_id"]).url)
    callback = await user.callback_url(AuthRequest.to(server, client["client_id"]).url)
    sandbox.clock.advance(seconds=901)

    assert (await user.press(page, "allow")).status_code == 403
    assert (await user.open(callback)).status_code == 400


async def test_a_browser_keeps_the_five_newest_flows(server: Deployment, user: User) -> None:
    client = await server.register()
    pages = [await user.open(AuthRequest.to(server, client["client_id"]).url) for _ in range(7)]
    kept = [cookie.name for cookie in user.http.cookies.jar if "flow" in cookie.name]
    answers = [(await user.press(page, "deny")).status_code for page in (pages[0], pages[6])]

    assert len(kept) == 5
    assert answers == [403, 200]


async def test_over_https_cookies_are_secure_and_bound_to_the_host(sandbox: RunningSandbox) -> None:
    async with deploy(sandbox, public_url="https://Phone.example.com/") as server, User() as user:
        client = await server.register()
        page = await user.open(AuthRequest.to(server, client["client_id"]).url)
    cookie = page.headers["set-cookie"]

    assert cookie.startswith("__Host-kallyai-flow-")
    for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=lax"):
        assert attribute in cookie
    assert "domain" not in cookie.lower()
    assert server.issuer == "https://phone.example.com"


async def test_signing_out_disconnects_the_apps_of_this_browser(server: Deployment, user: User) -> None:
    client = await server.register(client_name="Example")
    mine = [await sign_in(server, user, client["client_id"]) for _ in range(2)]
    async with User("acct-business") as other:
        theirs = await sign_in(server, other, client["client_id"])
        untouched = await other.open(f"{server.url}/oauth/sign-out")
    page = await user.open(f"{server.url}/oauth/sign-out")
    done = await user.press(page, "")
    after = await user.open(f"{server.url}/oauth/sign-out")
    answers = [await server.use(tokens["access_token"], "check_quota") for tokens in (*mine, theirs)]

    assert page.text.count("Example") == 2
    assert untouched.text.count("Example") == 1
    assert "Disconnected" in done.text
    assert "<form" not in after.text
    assert [answer.status_code for answer in answers] == [401, 401, 200]


async def test_a_sign_out_form_from_another_site_or_browser_is_refused(server: Deployment, user: User) -> None:
    tokens = await sign_in(server, user)
    url = f"{server.url}/oauth/sign-out"
    refused = [(await user.http.post(url, headers=headers)).status_code for headers in FOREIGN]
    async with User() as other:
        refused.append((await other.http.post(url)).status_code)

    assert refused == [403] * 5
    assert (await server.use(tokens["access_token"], "check_quota")).status_code == 200


def _flow(page: str) -> str:
    return page.partition('name="flow" value="')[2].partition('"')[0]
