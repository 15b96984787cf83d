"""The sign-in in the browser on this machine: what it brings, what its user sees, and who attacks
it.
"""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import httpx2
import pytest

from kallyai_mcp.api.errors import NotSignedInError
from kallyai_mcp.auth.loopback import LoopbackSignIn
from kallyai_mcp.auth.pages import Origin
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.token_store import TokenStore, TokenStoreError
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.cli.app_context import BrowserSignIn
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.settings import Settings
from tests.auth.fakes import API, NOW, Home, full_disk, jwt
from tests.processes import LIMIT

TOKENS = {"access_token": "secret-access", "refresh_token": "secret-refresh", "expires_in": "1800"}
XSS = "\"'><script>alert(1)</script>"


def auth_url(redirect_uri: str, state: str) -> str:
    return "https://api.example/v1/auth/cli?" + urlencode(
        {"redirect_uri": redirect_uri, "state": state}
    )


def state_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["state"][0]


def answer(link: str, **fields: str) -> str:
    """Where the sign-in page of `link` sends the browser, with these fields."""
    redirect_uri = parse_qs(urlsplit(link).query)["redirect_uri"][0]
    return f"{redirect_uri}/?" + urlencode({"state": state_of(link), **fields})


async def browse(link: str, **fields: str) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=True) as browser:
        return await browser.get(answer(link, **fields))


@asynccontextmanager
async def loopback_sign_in(
    seconds: float = 60, place: Origin = "chat"
) -> AsyncIterator[tuple[LoopbackSignIn, httpx2.AsyncClient]]:
    with anyio.fail_after(60):
        async with (
            httpx2.AsyncClient(trust_env=False) as browser,
            LoopbackSignIn(auth_url, seconds, linger=0, place=place) as flow,
        ):
            yield flow, browser


async def test_a_link_asks_for_the_tokens_here() -> None:
    async with loopback_sign_in() as (flow, _):
        query = parse_qs(urlsplit(flow.link).query)

    assert query["redirect_uri"] == [flow.redirect_uri]
    assert len(query["state"][0]) >= 43


async def test_the_tokens_leave_the_address_bar() -> None:
    async with loopback_sign_in() as (flow, browser):
        reply = await browser.get(answer(flow.link, **TOKENS))

    assert (reply.status_code, reply.headers["location"], reply.content) == (303, "/done", b"")


async def test_the_tokens_of_the_answer_are_granted() -> None:
    async with loopback_sign_in() as (flow, browser):
        await browser.get(answer(flow.link, **TOKENS))
        tokens = Tokens.from_grant(await flow.grant(), NOW).as_document()

    known = {
        "access_token": TOKENS["access_token"],
        "refresh_token": TOKENS["refresh_token"],
        "expires_at": NOW + 1800,
    }
    assert {name: tokens[name] for name in known} == known


@pytest.mark.parametrize(
    ("place", "language", "accepted", "next_step"),
    [
        (
            "chat",
            "en",
            "est,es;q=0.1,en-US;q=0.9",
            "Go back to your chat and ask for the call again",
        ),
        ("terminal", "es", "es-MX,es;q=0.9,en;q=0.8", "Vuelve a la terminal"),
    ],
)
async def test_the_last_page_says_what_comes_next(
    place: Origin, language: str, accepted: str, next_step: str
) -> None:
    token = jwt(email="ada<b>@example.com")
    headers = {"Accept-Language": accepted}
    async with loopback_sign_in(place=place) as (flow, browser):
        await browser.get(answer(flow.link, **TOKENS | {"access_token": token}))
        shown = (await browser.get(f"{flow.redirect_uri}/done", headers=headers)).text

    assert "ada&lt;b&gt;<wbr>@example.com" in shown
    assert next_step in shown
    assert f'<html lang="{language}">' in shown


async def test_the_pages_error_is_quoted_if_a_code() -> None:
    for error, words in (
        ("access_denied", "canceled on KallyAI's page"),
        ("server_error", "(server_error)"),
        (XSS, "(no reason that"),
    ):
        async with loopback_sign_in() as (flow, browser):
            shown = await browser.get(answer(flow.link, error=error), follow_redirects=True)
            assert (shown.url.path, "Not signed in" in shown.text) == ("/failed", True)
            with pytest.raises(NotSignedInError, match=re.escape(words)) as caught:
                await flow.grant()
            assert caught.value.code == "sign_in_refused"
            assert "script" not in repr(caught.value) + shown.text


async def test_a_late_browser_is_not_signed_in() -> None:
    async with loopback_sign_in(seconds=0) as (flow, browser):
        late = await browser.get(answer(flow.link, **TOKENS))
        assert (late.status_code, "This sign-in is over" in late.text) == (410, True)
        assert not flow.accept(answer(flow.link, **TOKENS))
        with pytest.raises(NotSignedInError, match="before the link expired"):
            await flow.grant()


async def test_a_sign_in_waits_until_its_page_loads() -> None:
    pages: list[httpx2.Response] = []

    async def follow(browser: httpx2.AsyncClient, address: str) -> None:
        for _ in range(50):  # meanwhile, the context would end
            await browser.get(f"{address}x")
        pages.append(await browser.get(address))

    async with httpx2.AsyncClient(trust_env=False) as browser, anyio.create_task_group() as tasks:
        with anyio.fail_after(LIMIT):
            async with LoopbackSignIn(auth_url, 60, linger=LIMIT) as flow:
                reply = await browser.get(answer(flow.link, **TOKENS))
                tasks.start_soon(follow, browser, flow.redirect_uri + reply.headers["location"])
            assert [page.status_code for page in pages] == [200]
        with pytest.raises(httpx2.ConnectError):
            await browser.get(flow.redirect_uri)


async def test_only_this_sign_ins_pasted_address_is_accepted() -> None:
    async with loopback_sign_in() as (flow, _):
        right = answer(flow.link, **TOKENS)
        assert not any(map(flow.accept, ("secret", flow.link, right.replace("state=", "state=x"))))
        assert flow.accept(f'  "{right[:40]}\n{right[40:]}#" ')
        assert (await flow.grant()).expires_in == 1800


async def test_a_wrong_answer_is_refused_and_uses_nothing() -> None:
    async with loopback_sign_in() as (flow, browser):
        for query in (
            "",
            "access_token=evil&state=",
            "access_token=evil&state={state}x",
            "access_token=evil&state=%C3%A9",
            "error=access_denied&state=wrong",
            "state={state}",
            "state={state}&access_token=two+words",
        ):
            wrong = await browser.get(
                f"{flow.redirect_uri}/?" + query.replace("{state}", state_of(flow.link))
            )
            assert wrong.status_code == 400, query
            assert "evil" not in wrong.text
        right = await browser.get(answer(flow.link, **TOKENS))

    assert right.status_code == 303


async def test_the_first_right_answer_counts() -> None:
    async with loopback_sign_in() as (flow, browser):
        await browser.get(answer(flow.link, **TOKENS))
        for second in (TOKENS, {"access_token": "evil"}, {"error": "access_denied"}):
            assert (await browser.get(answer(flow.link, **second))).status_code == 410
            assert not flow.accept(answer(flow.link, **second))
        failed = await browser.get(f"{flow.redirect_uri}/failed")
        granted = await flow.grant()

    assert granted.access_token.get_secret_value() == "secret-access"
    assert failed.status_code == 404


MARKED = {"x": XSS, XSS: "x"}
"""Parameters that no reply may repeat."""

HOSTS = ["evil.example", "evil.example:{port}", "127.0.0.1:1", "[::1]:{port}", "<script>:{port}"]


def port_of(flow: LoopbackSignIn) -> str:
    return flow.redirect_uri.rpartition(":")[2]


@pytest.mark.parametrize("host", HOSTS)
async def test_another_host_is_refused(host: str) -> None:
    async with loopback_sign_in() as (flow, browser):
        named = {"Host": host.format(port=port_of(flow))}
        refused = await browser.get(answer(flow.link, **TOKENS), headers=named)
        own = {"Host": f"LocalHost:{port_of(flow)}"}
        accepted = await browser.get(answer(flow.link, **TOKENS), headers=own)

    assert [refused.status_code, accepted.status_code] == [421, 303]


async def test_two_hosts_are_refused() -> None:
    async with loopback_sign_in() as (flow, _):
        port = port_of(flow)
        async with await anyio.connect_tcp("127.0.0.1", int(port)) as stream:
            await stream.send(
                f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n".encode()
            )
            reply = await stream.receive()

    assert b" 421 " in reply


@pytest.mark.parametrize("path", [XSS, "done", "/evil.example/"])
async def test_another_path_is_not_found(path: str) -> None:
    async with loopback_sign_in() as (flow, browser):
        assert (await browser.get(f"{flow.redirect_uri}/{path}")).status_code == 404


async def test_another_method_is_not_found() -> None:
    async with loopback_sign_in() as (flow, browser):
        posted = await browser.post(answer(flow.link, **TOKENS), content=b"x" * 200_000)

    assert posted.status_code == 404


async def replies_to_attacks(flow: LoopbackSignIn, browser: httpx2.AsyncClient) -> list[Any]:
    """The replies to a request of each kind, each with what must not be repeated."""
    browser.headers.update({"Accept-Language": XSS, "Referer": XSS, "X": XSS})
    right = answer(flow.link, **TOKENS, **MARKED)
    hosts = [host.format(port=port_of(flow)) for host in HOSTS]
    return [
        await browser.get(f"{flow.redirect_uri}/?" + urlencode({"state": XSS, "error": XSS})),
        await browser.get(f"{flow.redirect_uri}/{XSS}"),
        await browser.post(right, content=b"x" * 200_000),
        *[await browser.get(right, headers={"Host": host}) for host in hosts],
        await browser.get(right),
        await browser.get(right),
        await browser.get(f"{flow.redirect_uri}/done?" + urlencode(MARKED)),
    ]


async def test_no_reply_or_log_repeats_a_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.NOTSET)
    for browser_log in ("httpx2", "httpcore2"):  # the test's own browser
        caplog.set_level(logging.CRITICAL, browser_log)
    async with loopback_sign_in() as (flow, browser):
        replies = await replies_to_attacks(flow, browser)
        grant = await flow.grant()

    shown = [reply.text + repr(reply.headers) for reply in replies]
    for text in (caplog.text, repr(flow), repr(grant), *shown):
        assert not any(word in text for word in ("script", "secret", state_of(flow.link)))


async def test_no_reply_is_stored_framed_or_loads_anything() -> None:
    async with loopback_sign_in() as (flow, browser):
        replies = await replies_to_attacks(flow, browser)

    for reply in replies:
        policy = reply.headers["content-security-policy"]
        expected = {"cache-control": "no-store", "referrer-policy": "no-referrer"}

        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert {name: reply.headers[name] for name in expected} == expected


@asynccontextmanager
async def running(session: Session) -> AsyncIterator[BrowserSignIn]:
    """The sign-in of a server, in a task group that ends as a server's does: by cancellation."""
    connection = Connection(Settings())
    connection.tokens = session
    with anyio.fail_after(LIMIT):
        async with anyio.create_task_group() as lifespan:
            yield BrowserSignIn(connection, lifespan, links=True)
            lifespan.cancel_scope.cancel()


async def link_of(sign_in: BrowserSignIn) -> str:
    page = await sign_in.link()
    assert page is not None
    return page.url


async def test_a_waiting_sign_in_has_one_link(
    home: Home,
) -> None:
    session, links = home.session(), list[str]()
    async with running(session) as sign_in:

        async def begin() -> None:
            links.append(await link_of(sign_in))

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(begin)
        with anyio.CancelScope() as tool_call:
            tool_call.cancel()
            await sign_in.wait_until_signed_in(10)
        assert links == 5 * [links[0]]
        await browse(
            links[0], access_token="access-7", refresh_token="refresh-7", expires_in="3600"
        )
        assert await sign_in.wait_until_signed_in(10)
        assert await session.access_token() == "access-7"


@pytest.mark.parametrize("ends", ["sign_in_timed_out", "sign_in_refused", "token_store_failed"])
async def test_a_failed_sign_in_has_another_link(
    home: Home, ends: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(
        "kallyai_mcp.cli.app_context.SIGN_IN_SECONDS", 0 if ends == "sign_in_timed_out" else 60
    )
    session = home.session()
    async with running(session) as sign_in:
        first = await link_of(sign_in)
        with full_disk():
            if ends != "sign_in_timed_out":
                answers = (
                    {"error": "access_denied"}
                    if ends == "sign_in_refused"
                    else {"access_token": "a"}
                )
                await browse(first, **answers)
            assert not await sign_in.wait_until_signed_in(10)
        assert f"sign-in: {ends}" in caplog.text
        assert await session.current() is None
        second = await link_of(sign_in)
        assert second != first
    assert not await sign_in.wait_until_signed_in(60)
    with pytest.raises(httpx2.ConnectError):
        await browse(second, access_token="access-7")


async def test_an_impossible_sign_in_has_no_link(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_port(**_: object) -> None:
        raise OSError("no port")

    (tmp_path / "file").write_text("")
    async with running(home.session(store=TokenStore("file", tmp_path / "file", API))) as sign_in:
        with pytest.raises(TokenStoreError, match="Make its folder writable"):
            await sign_in.link()
    async with running(home.session()) as sign_in:
        with monkeypatch.context() as patch:
            patch.setattr(anyio, "create_tcp_listener", no_port)
            with pytest.raises(OSError, match="no port"):
                await sign_in.link()
        assert await link_of(sign_in)
