"""The home and billing pages."""

import re
from html import unescape

import httpx2
import pytest

from kallyai_mcp.sandbox.accounts import ACCOUNTS
from kallyai_mcp.sandbox.simulator.numbers import as_groups, as_rows
from tests.sandbox.conftest import PlaceCall, SignIn
from tests.sandbox.manual_clock import ManualClock


class Page:
    """A page's words, links, and language."""

    def __init__(self, html: str) -> None:
        self.links = re.findall(r'<a [^>]*href="([^"]*)"', html)
        self.language = re.findall(r'<html lang="(..)"', html)
        self.progress = re.findall(r'<progress [^>]*max="([^"]*)" value="([^"]*)"', html)
        self.words = " ".join(re.sub(r"<[^>]*>", " ", unescape(html.replace("<wbr>", ""))).split())
        assert len(ids := re.findall(r' id="([^"]*)"', html)) == len(set(ids))


@pytest.mark.parametrize("language", ["en", "es"])
async def test_the_sandboxs_home_page_lists_its_numbers(
    client: httpx2.AsyncClient, language: str
) -> None:
    answer = await client.get("/", headers={"Accept-Language": f"fr, {language}-MX;q=0.9,en;q=0.5"})
    page = Page(answer.text)
    assert (page.language, answer.headers["content-language"]) == ([language], language)
    for number, description in as_rows(language):
        assert f"{number} {description}" in page.words
    for account in ACCOUNTS.values():
        assert account.email in page.words
    assert {"/docs", "/openapi.json", "/_sandbox/play"} <= set(page.links)


def test_the_first_numbers_show_the_usual_outcomes() -> None:
    groups = as_groups("en")

    assert [number[-3:] for number, _ in groups["first"]] == [f"10{digit}" for digit in range(6)]
    assert sum(map(len, groups.values())) == len(as_rows())
    assert all(words.startswith("Refused") for _, words in groups["refused"] + groups["by_rule"])


@pytest.mark.parametrize("path", ["/nothing", "/v1/billing/a.b.c"])
async def test_a_browser_gets_a_page_for_404(client: httpx2.AsyncClient, path: str) -> None:
    page = await client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    program = await client.get(path)

    assert (page.status_code, program.status_code) == (404, 404)
    assert "There is nothing here" in Page(page.text).words
    assert "Sandbox: nobody is called" in Page(page.text).words
    assert program.json()["error"]["code"] == "not_found"


@pytest.fixture
async def billing_url(client: httpx2.AsyncClient, sign_in: SignIn, place_call: PlaceCall) -> str:
    """The billing link of an account that has placed one call."""
    await place_call(respondent_phone="+12025550103")
    answer = await client.get("/v1/stripe/billing-portal", headers=sign_in())
    return str(answer.json()["url"])


async def test_the_billing_page_shows_what_is_left(
    client: httpx2.AsyncClient, billing_url: str
) -> None:
    answer = await client.get(billing_url)
    page = Page(answer.text)

    assert answer.headers["cache-control"] == "no-store"
    assert "personal@sandbox.test" in page.words
    assert "January 1, 2026 \u2013 January 31, 2026" in page.words
    assert "Minutes 164.9 of 210 left" in page.words
    assert page.progress == [("210", "164.9"), ("35", "26")]


async def test_the_billing_page_speaks_spanish(
    client: httpx2.AsyncClient, billing_url: str
) -> None:
    accepted = {"Accept-Language": "es-ES,es;q=0.9,en;q=0.8"}
    page = Page((await client.get(billing_url, headers=accepted)).text)

    assert "Minutos Disponibles: 164,9 de 210" in page.words
    assert "1 de enero de 2026 \u2013 31 de enero de 2026" in page.words


async def test_no_other_token_opens_the_billing_page(
    client: httpx2.AsyncClient, billing_url: str, sign_in: SignIn
) -> None:
    access_token = sign_in()["Authorization"].removeprefix("Bearer ")
    for made_up in ("a.b.c", access_token):
        answer = await client.get(f"{billing_url.rpartition('/')[0]}/{made_up}")

        assert answer.status_code == 404


async def test_the_billing_link_works_for_an_hour(
    client: httpx2.AsyncClient, billing_url: str, clock: ManualClock
) -> None:
    clock.advance(minutes=59)
    in_time = await client.get(billing_url)
    clock.advance(minutes=1)
    late = await client.get(billing_url)

    assert in_time.status_code == 200
    assert late.json()["error"]["code"] == "not_found"
