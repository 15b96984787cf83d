"""What a person sees and decides: consent, sign-out, and that nobody else can decide for them."""

import re

import pytest

from kallyai_mcp.auth.oauth_server.text import SCOPES, TEXTS
from tests.auth.oauth_server.kit import Ask, Deployment, Person, answer_in, deployed, onward, signed_in
from tests.transports.http_server import RunningSandbox


async def test_the_consent_page_names_the_client_its_address_and_the_scopes(server: Deployment, person: Person) -> None:
    client = await server.register(client_name="Example", redirect_uris=["https://client.example/back?x=1&y=2"])
    page = await person.open(Ask.of(server, client["client_id"], redirect_uri=None).url)

    assert "Connect “Example” to your KallyAI account?" in page.text
    assert '<dd class="host">client.example</dd>' in page.text
    assert "https://client.example/back?x=1&amp;y=2" in page.text
    assert SCOPES["en"]["calls:read"] in page.text
    assert SCOPES["en"]["calls:write"] not in page.text


async def test_a_hostile_name_is_text_and_nothing_else(server: Deployment, person: Person) -> None:
    name = "<script>alert(1)</script>\"'><form action=//evil.example>\u202e\u200b{t}"
    client = await server.register(client_name=name)
    page = await person.open(Ask.of(server, client["client_id"]).url)
    await signed_in(server, person, client["client_id"])
    sign_out = await person.open(f"{server.url}/oauth/sign-out")

    for shown in (page.text, sign_out.text):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
        assert shown.count("<form") == 1
        assert "<script" not in shown
        assert not {"\u202e", "\u200b"} & set(shown)


async def test_no_page_can_be_framed_kept_or_made_to_load_anything(server: Deployment, person: Person) -> None:
    client = await server.register()
    consent = await person.open(Ask.of(server, client["client_id"]).url)
    pages = [
        consent,
        await person.press(consent, "allow"),
        await person.open(f"{server.url}/oauth/sign-out"),
        await person.open(f"{server.url}/oauth/callback?state=x&code=y"),
        await person.open(f"{server.url}/oauth/authorize"),
    ]
    for page in pages:
        policy = page.headers["content-security-policy"]

        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert re.search(r"form-action '(self|none)'", policy)
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        # A form that is sent without any referrer has no origin either; nothing leaves for another site.
        has_form = "<form" in page.text
        assert page.headers["referrer-policy"] == ("same-origin" if has_form else "no-referrer")


async def test_it_speaks_spanish_to_whoever_prefers_it(server: Deployment) -> None:
    client = await server.register()
    async with Person(language="es-MX,en;q=0.5") as person:
        page = await person.open(Ask.of(server, client["client_id"]).url)

    assert '<html lang="es">' in page.text
    assert "¿Conectar «Test Client» a tu cuenta de KallyAI?" in page.text
    assert "Permitir" in page.text


async def test_both_languages_say_the_same_things() -> None:
    assert TEXTS["en"].keys() == TEXTS["es"].keys()
    assert list(SCOPES["en"]) == list(SCOPES["es"])
    for name, words in TEXTS["en"].items():
        assert re.findall(r"\{\w+\}", words) == re.findall(r"\{\w+\}", TEXTS["es"][name])


async def test_only_the_browser_that_was_asked_can_allow(server: Deployment, person: Person) -> None:
    client = await server.register()
    page = await person.open(Ask.of(server, client["client_id"]).url)
    async with Person() as other:
        without = await other.press(page, "allow")
        theirs = await other.open(Ask.of(server, client["client_id"]).url)
        mixed = await other.press(page, "allow")
        # What only a page of another site could do: it has our cookie sent along, and knows a flow of its own.
        foreign = await person.http.post(
            f"{server.url}/oauth/consent",
            data={"flow": _flow(theirs.text), "decision": "allow"},
            headers={"Origin": server.url},
        )

    assert [without.status_code, mixed.status_code, foreign.status_code] == [403, 403, 403]


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_a_form_that_came_from_another_site_decides_nothing(
    server: Deployment, person: Person, headers: dict[str, str]
) -> None:
    client = await server.register()
    page = await person.open(Ask.of(server, client["client_id"]).url)
    form = {"flow": _flow(page.text), "decision": "allow"}
    response = await person.http.post(f"{server.url}/oauth/consent", data=form, headers=headers)

    assert response.status_code == 403
    assert "refresh" not in response.text


async def test_another_browser_cannot_come_back_from_kallyai(server: Deployment, person: Person) -> None:
    client = await server.register()
    callback = await person.returning(Ask.of(server, client["client_id"]).url)
    async with Person() as other:
        foreign = await other.open(callback)
    own = await person.open(callback)
    again = await person.open(callback)

    assert foreign.status_code == again.status_code == 400
    assert "another browser" in foreign.text
    assert answer_in(onward(own))["code"]


async def test_kallyais_answer_counts_only_after_consent(server: Deployment, person: Person) -> None:
    client = await server.register()
    page = await person.open(Ask.of(server, client["client_id"]).url)
    response = await person.open(f"{server.url}/oauth/callback?state={_flow(page.text)}&code=stolen")

    assert response.status_code == 400


async def test_a_consent_page_and_a_sign_in_end_in_time(
    world: RunningSandbox, server: Deployment, person: Person
) -> None:
    client = await server.register()
    page = await person.open(Ask.of(server, client["client_id"]).url)
    callback = await person.returning(Ask.of(server, client["client_id"]).url)
    world.clock.advance(seconds=901)

    assert (await person.press(page, "allow")).status_code == 403
    assert (await person.open(callback)).status_code == 400


async def test_an_error_of_kallyais_is_told_to_the_client(server: Deployment, person: Person) -> None:
    client = await server.register()
    page = await person.open(Ask.of(server, client["client_id"]).url)
    await person.press(page, "allow")
    url = f"{server.url}/oauth/callback?state={_flow(page.text)}&error=temporarily_unavailable"

    assert answer_in(onward(await person.open(url)))["error"] == "server_error"


async def test_a_browser_keeps_a_few_flows_and_the_oldest_go(server: Deployment, person: Person) -> None:
    client = await server.register()
    pages = [await person.open(Ask.of(server, client["client_id"]).url) for _ in range(7)]
    kept = [cookie.name for cookie in person.http.cookies.jar if "flow" in cookie.name]
    answers = [(await person.press(page, "deny")).status_code for page in (pages[0], pages[6])]

    assert len(kept) == 5
    assert answers == [403, 200]


async def test_over_https_cookies_are_this_hosts_alone(world: RunningSandbox) -> None:
    async with deployed(world, public_url="https://Phone.example.com/") as server, Person() as person:
        client = await server.register()
        page = await person.open(Ask.of(server, client["client_id"]).url)
    cookie = page.headers["set-cookie"]

    assert cookie.startswith("__Host-kallyai-flow-")
    for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=lax"):
        assert attribute in cookie
    assert "domain" not in cookie.lower()
    assert server.issuer == "https://phone.example.com"


async def test_signing_out_disconnects_what_was_connected_in_this_browser(server: Deployment, person: Person) -> None:
    client = await server.register(client_name="Example")
    mine = [await signed_in(server, person, client["client_id"]) for _ in range(2)]
    async with Person("acct-business") as other:
        theirs = await signed_in(server, other, client["client_id"])
        untouched = await other.open(f"{server.url}/oauth/sign-out")
    page = await person.open(f"{server.url}/oauth/sign-out")
    done = await person.press(page, "")
    after = await person.open(f"{server.url}/oauth/sign-out")
    answers = [await server.use(tokens["access_token"], "check_quota") for tokens in (*mine, theirs)]

    assert page.text.count("Example") == 2
    assert untouched.text.count("Example") == 1
    assert "Disconnected" in done.text
    assert "<form" not in after.text
    assert [answer.status_code for answer in answers] == [401, 401, 200]


async def test_nobody_is_signed_out_from_another_site(server: Deployment, person: Person) -> None:
    tokens = await signed_in(server, person)
    page = await person.open(f"{server.url}/oauth/sign-out")
    ticket = page.text.partition('name="ticket" value="')[2].partition('"')[0]
    url = f"{server.url}/oauth/sign-out"
    no_ticket = await person.http.post(url, data={"ticket": ""})
    cross_site = await person.http.post(url, data={"ticket": ticket}, headers={"Origin": "https://evil.example"})
    async with Person() as other:
        foreign = await other.http.post(url, data={"ticket": ticket})

    assert [no_ticket.status_code, cross_site.status_code, foreign.status_code] == [403, 403, 403]
    assert (await server.use(tokens["access_token"], "check_quota")).status_code == 200


def _flow(page: str) -> str:
    return page.partition('name="flow" value="')[2].partition('"')[0]
