"""The sign-in in the browser: what it brings, what its user sees, and the pasted address."""

import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import pytest

from kallyai_mcp.api.errors import NotSignedInError
from kallyai_mcp.auth.loopback import LoopbackSignIn, WrongAddressError
from kallyai_mcp.auth.pages import Origin
from tests.auth.fakes import jwt
from tests.auth.loopback_browser import TOKENS, XSS, answer, auth_url, loopback_sign_in, state_of


async def test_the_link_has_our_redirect_uri_and_an_unguessable_state() -> None:
    async with loopback_sign_in() as (flow, _), loopback_sign_in() as (other, _):
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", flow.redirect_uri)
        query = parse_qs(urlsplit(flow.link).query)
        assert query["redirect_uri"] == [flow.redirect_uri]
        assert len(query["state"][0]) >= 43
        assert state_of(other) != query["state"][0]


async def test_the_grant_waits_for_the_tokens_which_a_redirect_removes_from_the_address_bar() -> None:
    replies: list[httpx2.Response] = []
    async with loopback_sign_in() as (flow, browser), anyio.create_task_group() as tasks:

        async def come_back() -> None:
            replies.append(await browser.get(answer(flow, **TOKENS, scope="calls:read")))
            replies.append(await browser.get(f"{flow.redirect_uri}/done"))

        tasks.start_soon(come_back)
        grant = await flow.grant()
    assert grant.access_token.get_secret_value() == "secret-access"
    assert grant.refresh_token is not None
    assert grant.refresh_token.get_secret_value() == "secret-refresh"
    assert (grant.expires_in, grant.scope) == (1800, "calls:read")
    assert (replies[0].status_code, replies[0].headers["location"], replies[0].content) == (303, "/done", b"")
    assert "Sign-in received" in replies[1].text


@pytest.mark.parametrize("expires_in", [{}, {"expires_in": ""}, {"expires_in": "soon"}, {"expires_in": "-1"}])
async def test_an_answer_without_a_lifetime_or_refresh_token_is_accepted(expires_in: dict[str, str]) -> None:
    async with loopback_sign_in() as (flow, browser):
        await browser.get(answer(flow, access_token="secret-access", refresh_token="", **expires_in))
        grant = await flow.grant()
        assert (grant.expires_in, grant.refresh_token) == (3600, None)


@pytest.mark.parametrize(
    ("place", "next_step"),
    [("chat", "Go back to your chat and ask for the call again"), ("terminal", "Go back to the terminal")],
)
async def test_the_page_says_who_signed_in_and_where_to_go_next(place: Origin, next_step: str) -> None:
    async with loopback_sign_in(place=place) as (flow, browser):
        token = jwt(email="ada<b>@example.com")
        shown = await browser.get(answer(flow, access_token=token), follow_redirects=True)
        assert "ada&lt;b&gt;@example.com" in shown.text
        assert next_step in shown.text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("access_denied", "canceled on KallyAI's page"),
        ("server_error", "(server_error)"),
        (XSS, "(no reason that could be shown)"),
    ],
)
async def test_an_error_of_the_page_is_a_refusal_and_quoted_only_if_it_looks_like_a_code(
    error: str, words: str
) -> None:
    async with loopback_sign_in() as (flow, browser):
        shown = await browser.get(answer(flow, error=error), follow_redirects=True)
        assert (shown.url.path, "Not signed in" in shown.text) == ("/failed", True)
        with pytest.raises(NotSignedInError, match=re.escape(words)) as caught:
            await flow.grant()
        assert caught.value.code == "sign_in_refused"
        assert "script" not in repr(caught.value) + shown.text


async def test_a_browser_that_comes_back_too_late_is_told_and_not_signed_in() -> None:
    async with loopback_sign_in(seconds=0) as (flow, browser):
        late = await browser.get(answer(flow, **TOKENS))
        assert (late.status_code, "This sign-in is over" in late.text) == (410, True)
        with pytest.raises(WrongAddressError, match="over"):
            flow.accept(answer(flow, **TOKENS))
        with pytest.raises(NotSignedInError, match="Ask for a new link") as caught:
            await flow.grant()
        assert caught.value.code == "sign_in_timed_out"


class PageReader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.lang: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.lang = values.get("lang", self.lang)
        is_own_icon = values.get("rel") == "icon" and str(values.get("href")).startswith("data:image/svg+xml;base64,")
        assert is_own_icon or not {"src", "href", "style", "onclick", "onload"} & set(values)


@pytest.mark.parametrize(
    ("accepted", "lang"),
    [
        ("", "en"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("en-US,en;q=0.9,es;q=0.8", "en"),
        ("de, ES;q=0.5", "es"),
        ("en;q=0.4, es;q=0.9", "es"),
        ("es;q=nonsense", "en"),
        ("es;q=0", "en"),
    ],
)
async def test_pages_are_in_the_language_that_the_browser_prefers(accepted: str, lang: str) -> None:
    async with loopback_sign_in() as (flow, browser):
        shown = await browser.get(answer(flow, **TOKENS), headers={"Accept-Language": accepted}, follow_redirects=True)
        read = PageReader(shown.text)
        assert read.lang == lang
        assert ("Sign-in received" in shown.text) == (lang == "en")
        assert [read.tags.count(tag) for tag in ("main", "h1", "title", "script", "form")] == [1, 1, 1, 0, 0]


async def test_the_end_of_the_context_waits_until_the_browser_has_its_page() -> None:
    pages: list[httpx2.Response] = []

    async def follow(browser: httpx2.AsyncClient, address: str, left: anyio.Event) -> None:
        await left.wait()
        pages.append(await browser.get(address))

    left = anyio.Event()
    with anyio.fail_after(20):
        async with httpx2.AsyncClient(trust_env=False) as browser, anyio.create_task_group() as tasks:
            async with LoopbackSignIn(auth_url, linger=15) as flow:
                reply = await browser.get(answer(flow, **TOKENS))
                tasks.start_soon(follow, browser, flow.redirect_uri + reply.headers["location"], left)
                await flow.grant()
                left.set()
            assert [page.status_code for page in pages] == [200]
            with pytest.raises(httpx2.ConnectError):
                await browser.get(flow.redirect_uri)


async def test_neither_an_error_nor_a_cancellation_waits_for_the_browser() -> None:
    with anyio.fail_after(10):
        with pytest.raises(NotSignedInError, match="before the link expired"):
            async with LoopbackSignIn(auth_url, 0, linger=60) as flow:
                await flow.grant()
        with anyio.CancelScope() as scope:
            async with httpx2.AsyncClient(trust_env=False) as browser, LoopbackSignIn(auth_url, linger=60) as flow:
                await browser.get(answer(flow, **TOKENS))
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught


@pytest.mark.parametrize("form", ["  {address}\n", '"{address}"', "<{address}>", "{short}", "{localhost}", "{wrapped}"])
async def test_a_pasted_address_is_accepted(form: str) -> None:
    async with loopback_sign_in() as (flow, _):
        address = answer(flow, **TOKENS)
        forms = {
            "address": address,
            "short": address.removeprefix("http://").replace("/?", "?"),
            "localhost": address.replace("127.0.0.1", "localhost"),
            "wrapped": address[:60] + "\n" + address[60:],
        }
        flow.accept(form.format(**forms))
        assert (await flow.grant()).access_token.get_secret_value() == "secret-access"


@pytest.mark.parametrize(
    ("pasted", "why"),
    [
        ("secret", "start with"),
        ("http://[secret", "not an address"),
        ("https://evil.example/?state={state}&access_token=secret", "start with"),
        ("https://127.0.0.1:{port}/?state={state}&access_token=secret", "start with"),
        ("http://127.0.0.1:1/?state={state}&access_token=secret", "start with"),
        ("http://x@127.0.0.1:{port}/?state={state}&access_token=secret", "start with"),
        ("http://127.0.0.1:{port}/other?state={state}&access_token=secret", "start with"),
        ("http://127.0.0.1:{port}/?state=wrong&access_token=secret", "another sign-in"),
        ("http://127.0.0.1:{port}/?state={state}", "incomplete"),
    ],
)
async def test_a_wrong_pasted_address_is_an_error_that_does_not_quote_it(pasted: str, why: str) -> None:
    async with loopback_sign_in() as (flow, _):
        text = pasted.replace("{port}", flow.redirect_uri.rpartition(":")[2]).replace("{state}", state_of(flow))
        with pytest.raises(WrongAddressError, match=why) as caught:
            flow.accept(text)
        assert "secret" not in str(caught.value)
        assert state_of(flow) not in str(caught.value)
        flow.accept(answer(flow, **TOKENS))
        assert (await flow.grant()).expires_in == 1800
