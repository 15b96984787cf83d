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
from kallyai_mcp.cards.style import csp_hash
from tests.auth.oauth_server.deployment import (
    REDIRECT,
    Deployment,
    User,
    answer_in,
    flow_in,
    next_url,
    sign_in,
)
from tests.transports.http_server import RunningSandbox


async def test_the_home_page_says_how_to_connect(
    server: Deployment,
) -> None:
    async with User(language="es") as user:
        page = await user.open(f"{server.url}/")
        links = [unescape(link) for link in re.findall(r'<a [^>]*href="([^"]+)"', page.text)]
        cursor, vs_code = (httpx2.URL(link).params["config"] for link in links if "install" in link)

    assert "<h1>Llamadas telefónicas para tu agente de IA</h1>" in page.text
    assert json.loads(base64.b64decode(cursor)) == {"url": f"{server.issuer}/mcp"}
    assert json.loads(vs_code) == {"type": "http", "url": f"{server.issuer}/mcp"}
    assert f"<code>{server.issuer}/mcp</code>" in page.text
    assert "No se conectó ninguna aplicación en este navegador" in page.text


ATTACK = "<script>alert(1)</script>\"'><form action=//evil.example>\u202e\u200b{t}"
"""A client's name that would be markup, and has letters that can't be seen."""


async def test_the_consent_page_shows_client_and_scopes(server: Deployment, user: User) -> None:
    uris = [REDIRECT, "https://client.example/back?x=1&y=2"]
    client = await server.register(redirect_uris=uris)
    page = await user.open(server.authorize_url(client["client_id"], redirect_uri=uris[1]))
    scopes = texts("kallyai_mcp.auth.oauth_server", "scopes", "en")

    assert "Nobody has checked the name" in page.text
    assert "https://<strong>client.example</strong>/back?x=1&amp;y=2</dd>" in page.text
    assert [scope for scope, text in scopes.items() if text in page.text] == [
        "calls:read",
        "subscription:read",
    ]


@pytest.mark.parametrize("page", ["consent", "home"])
async def test_a_clients_name_is_text(server: Deployment, user: User, page: str) -> None:
    client = (await server.register(client_name=ATTACK))["client_id"]
    await sign_in(server, user, client)
    url = server.authorize_url(client) if page == "consent" else server.url
    shown = (await user.open(url)).text

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert shown.count("<form") == 1
    assert "<script>alert" not in shown
    assert not {"\u202e", "\u200b"} & set(shown)


async def page_of_kind(server: Deployment, user: User, kind: str) -> httpx2.Response:
    """One of the pages of the server."""
    match kind:
        case "consent":
            return await user.open(server.authorize_url(await server.new_client()))
        case "allowed":
            return await user.press(await page_of_kind(server, user, "consent"), "allow")
        case "home":
            return await user.open(server.url)
        case _:
            return await user.open(f"{server.url}/oauth/callback?state=x&code=y")


PAGES = ["consent", "allowed", "home", "error"]


@pytest.mark.parametrize("kind", PAGES)
async def test_no_page_loads_anything(server: Deployment, user: User, kind: str) -> None:
    policy = (await page_of_kind(server, user, kind)).headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert re.search(r"form-action '(self|none)'", policy)


@pytest.mark.parametrize(
    ("path", "status"), [("oauth/nothing", 404), ("oauth/token", 405), ("nothing", 401)]
)
async def test_a_browser_gets_a_page_for_404(server: Deployment, path: str, status: int) -> None:
    browser = {"Accept": "text/html,*/*;q=0.8", "Accept-Language": "es"}
    page = await server.http.get(f"{server.url}/{path}", headers=browser)
    program = await server.http.get(f"{server.url}/{path}")

    assert [page.status_code, program.status_code] == [status, status]
    assert "Aquí no hay nada" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers.get("www-authenticate") == program.headers.get("www-authenticate")
    assert "<html" not in program.text


async def test_only_the_home_page_has_a_script(server: Deployment, user: User) -> None:
    pages = {kind: await page_of_kind(server, user, kind) for kind in PAGES}
    policies = {kind: page.headers["content-security-policy"] for kind, page in pages.items()}

    assert [kind for kind, policy in policies.items() if "script-src" in policy] == ["home"]
    assert [kind for kind, page in pages.items() if "<script" in page.text] == ["home"]
    [script] = re.findall("<script>(.*?)</script>", pages["home"].text, re.DOTALL)
    assert f"script-src {csp_hash(script)};" in policies["home"]


@pytest.mark.parametrize("kind", PAGES)
async def test_no_page_can_be_framed(server: Deployment, user: User, kind: str) -> None:
    headers = (await page_of_kind(server, user, kind)).headers

    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("kind", PAGES)
async def test_no_page_is_stored_or_sent_on(server: Deployment, user: User, kind: str) -> None:
    page = await page_of_kind(server, user, kind)

    assert page.headers["cache-control"] == "no-store"
    # Without a referrer a form has no origin either; no referrer is sent to another site.
    assert page.headers["referrer-policy"] == (
        "same-origin" if "<form" in page.text else "no-referrer"
    )


@pytest.mark.parametrize("package", ["kallyai_mcp.auth", "kallyai_mcp.auth.oauth_server"])
def test_both_languages_of_pages_have_equal_placeholders(
    package: str,
) -> None:
    for page in tomllib.loads(files(package).joinpath("texts.toml").read_text(encoding="utf-8")):
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


async def test_only_the_browser_that_asked_can_allow(server: Deployment, user: User) -> None:
    url, consent = server.authorize_url(await server.new_client()), f"{server.url}/oauth/consent"
    page = await user.open(url)
    form = {"flow": flow_in(page), "decision": "allow"}
    refused = [await user.http.post(consent, data=form, headers=headers) for headers in FOREIGN]
    async with User() as other:
        refused.append(await other.press(page, "allow"))
        theirs = await other.open(str(page.url))
        refused.append(await other.press(page, "allow"))
        # As a page of another site: the browser sends our cookie, and the page knows a flow of its
        # own browser.
        own = {"Origin": server.url}
        refused.append(
            await user.http.post(consent, data=form | {"flow": flow_in(theirs)}, headers=own)
        )

    assert [response.status_code for response in refused] == [403] * 2 + [400] * 5
    assert not any("refresh" in response.text for response in refused)


async def test_the_callback_works_once_in_its_browser(server: Deployment, user: User) -> None:
    url = server.authorize_url(await server.new_client())
    page = await user.open(url)
    await user.press(page, "allow")
    failed = f"{server.url}/oauth/callback?state={flow_in(page)}&error=temporarily_unavailable"
    error = answer_in(next_url(await user.open(failed)))["error"]
    callback = await user.callback_url(url)
    async with User() as other:
        foreign = await other.open(callback)
    own = await user.open(callback)
    again = await user.open(callback)

    assert foreign.status_code == again.status_code == 400
    assert "another browser" in foreign.text
    assert error == "server_error"
    assert answer_in(next_url(own))["code"]


async def test_a_browser_keeps_five_consent_pages(server: Deployment, user: User) -> None:
    url = server.authorize_url(await server.new_client())
    pages = [await user.open(url) for _ in range(7)]
    kept = [cookie.name for cookie in user.http.cookies.jar if "kallyai" in cookie.name]

    assert len(kept) == 5
    assert [(await user.press(page, "deny")).status_code for page in (pages[0], pages[6])] == [
        400,
        200,
    ]


async def test_another_programs_cookies_are_ignored(server: Deployment) -> None:
    not_ours = "; ".join(f"kallyai-[{number}]@é=x" for number in range(9)).encode("latin-1")
    url = server.authorize_url(await server.new_client())

    page = await server.http.get(url, headers=[(b"Cookie", not_ours)], follow_redirects=True)

    assert page.status_code == 200


async def test_after_half_an_hour_a_consent_page_expires(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    page = await user.open(server.authorize_url(await server.new_client()))
    sandbox.clock.advance(seconds=1801)

    assert (await user.press(page, "allow")).status_code == 400
    assert (await user.open(str(page.url))).status_code == 400


async def test_after_half_an_hour_a_callback_expires(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    callback = await user.callback_url(server.authorize_url(await server.new_client()))
    sandbox.clock.advance(seconds=1801)

    assert (await user.open(callback)).status_code == 400


async def test_signing_out_disconnects_this_browsers_apps_alone(
    server: Deployment, user: User
) -> None:
    client = (await server.register(client_name="Example"))["client_id"]
    url = f"{server.url}/oauth/sign-out"
    mine = [await sign_in(server, user, client) for _ in range(2)]
    for headers in FOREIGN:
        await user.http.post(url, headers=headers)
    async with User("acct-business") as other:
        await other.http.post(url)
        theirs = await sign_in(server, other, client)
        untouched = await other.open(server.url)
    before = await server.use(mine[0]["access_token"])
    page = await user.open(server.url)
    done = await user.press(page, "")
    after = await user.open(server.url)
    answers = [await server.use(tokens["access_token"]) for tokens in (*mine, theirs)]

    assert before.status_code == 200
    assert [shown.text.count("Example") for shown in (page, untouched, after)] == [2, 1, 0]
    assert (done.status_code, done.headers["location"]) == (303, "/#apps")
    assert [answer.status_code for answer in answers] == [401, 401, 200]
