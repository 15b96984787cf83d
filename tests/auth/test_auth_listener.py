"""The listener of the sign-in on this machine, attacked by other programs and pages."""

import logging
from urllib.parse import urlencode

import anyio
import httpx2
import pytest

from kallyai_mcp.api.errors import NotSignedInError
from kallyai_mcp.auth.loopback import LoopbackSignIn, WrongAddressError
from tests.auth.loopback_browser import TOKENS, XSS, answer, loopback_sign_in, state_of


async def raw(flow: LoopbackSignIn, data: bytes) -> bytes:
    """Send `data` unchanged; returns the reply."""
    stream = await anyio.connect_tcp("127.0.0.1", int(flow.redirect_uri.rpartition(":")[2]))
    async with stream:
        await stream.send(data)
        await stream.send_eof()
        received = b""
        try:
            while True:
                received += await stream.receive()
        except anyio.EndOfStream:
            return received


async def test_a_wrong_or_incomplete_answer_is_refused_and_a_right_one_still_works() -> None:
    async with loopback_sign_in() as (flow, browser):
        for query in (
            "",
            "access_token=evil",
            "access_token=evil&state=",
            "access_token=evil&state=wrong",
            "access_token=evil&state={state}x",
            "access_token=evil&state={state}&state={state}",
            "access_token=evil&state=%ff",
            "access_token=evil&state=%C3%A9",
            "error=access_denied&state=wrong",
            "state={state}",
            "state={state}&access_token=",
            "state={state}&access_token=two+words",
            "state={state}&access_token=a%0d%0ab",
            "state={state}&access_token=evil&refresh_token=two+words",
            "state={state}&access_token=one&access_token=two",
            "&".join(f"a{n}=1" for n in range(50)) + "&state={state}&access_token=evil",
        ):
            wrong = await browser.get(f"{flow.redirect_uri}/?" + query.replace("{state}", state_of(flow)))
            assert wrong.status_code == 400, query
            assert "evil" not in wrong.text
        right = await browser.get(answer(flow, **TOKENS))
        assert right.status_code == 303
        assert (await flow.grant()).access_token.get_secret_value() == "secret-access"


async def test_a_second_answer_is_refused() -> None:
    async with loopback_sign_in() as (flow, browser):
        await browser.get(answer(flow, **TOKENS))
        for second in (TOKENS, {"access_token": "evil"}, {"error": "access_denied"}):
            assert (await browser.get(answer(flow, **second))).status_code == 409
            with pytest.raises(WrongAddressError, match="over"):
                flow.accept(answer(flow, **second))
        assert (await flow.grant()).access_token.get_secret_value() == "secret-access"
        assert (await browser.get(f"{flow.redirect_uri}/failed")).status_code == 404


async def test_another_path_method_or_host_is_refused_and_its_tokens_ignored() -> None:
    async with loopback_sign_in(seconds=0) as (flow, browser):
        port = flow.redirect_uri.rpartition(":")[2]
        for path in ("/favicon.ico", "/done", "/failed", "//evil.example/", "/index.html", "/%2e"):
            assert (await browser.get(flow.redirect_uri + path)).status_code == 404
        for method in ("POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
            refused = await browser.request(method, answer(flow, **TOKENS), content=b"x" * 200_000)
            assert (refused.status_code, refused.headers["allow"]) == (405, "GET")
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", "127.0.0.1:1", f"[::1]:{port}"):
            assert (await browser.get(answer(flow, **TOKENS), headers={"Host": host})).status_code == 421
        with pytest.raises(NotSignedInError, match="before the link expired"):
            await flow.grant()


async def replies_of_every_kind(flow: LoopbackSignIn, browser: httpx2.AsyncClient) -> list[httpx2.Response]:
    marked = {"x": XSS, XSS: "x"}
    headers = {"Accept-Language": XSS, "Referer": XSS, "X": XSS}
    port = flow.redirect_uri.rpartition(":")[2]
    return [
        await browser.get(f"{flow.redirect_uri}/?" + urlencode({"state": XSS, "error": XSS}), headers=headers),
        await browser.get(f"{flow.redirect_uri}/{XSS}", headers=headers),
        await browser.post(answer(flow, **marked), headers=headers),
        await browser.get(answer(flow, **marked), headers=headers),
        await browser.get(flow.redirect_uri, headers={"Host": "<script>alert(1)</script>:" + port}),
        await browser.get(answer(flow, **TOKENS, **marked), headers=headers | {"Host": f"LocalHost:{port}"}),
        await browser.get(answer(flow, **TOKENS, **marked), headers=headers),
        await browser.get(f"{flow.redirect_uri}/done?" + urlencode(marked), headers=headers),
    ]


async def test_no_reply_repeats_a_part_of_its_request_or_can_be_stored_or_framed_or_loads_anything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.NOTSET)
    for browser_log in ("httpx2", "httpcore2"):  # the test's own browser
        caplog.set_level(logging.CRITICAL, browser_log)
    async with loopback_sign_in() as (flow, browser):
        replies = await replies_of_every_kind(flow, browser)
        grant = await flow.grant()
    assert [reply.status_code for reply in replies] == [400, 404, 405, 400, 421, 303, 409, 200]
    for text in (caplog.text, repr(flow), repr(grant), *(reply.text + repr(reply.headers) for reply in replies)):
        assert "script" not in text
        assert "secret" not in text
        assert state_of(flow) not in text
    for reply in replies:
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        expected = {
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "connection": "close",
        }
        assert {name: reply.headers[name] for name in expected} == expected
        assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"", b""),
        (b"GET / HT", b"HTTP/1.1 400 "),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"HTTP/1.1 400 "),
        (b"GET /" + b"a" * 100_000, b"HTTP/1.1 400 "),
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1 421 "),
        (b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"HTTP/1.1 421 "),
    ],
)
async def test_an_invalid_request_does_not_stop_the_listener(data: bytes, reply: bytes) -> None:
    async with loopback_sign_in() as (flow, browser):
        received = await raw(flow, data)
        assert received.startswith(reply)
        assert bool(received) == bool(reply)
        assert (await browser.get(answer(flow, **TOKENS))).status_code == 303


async def test_neither_an_idle_connection_nor_one_that_breaks_off_stops_the_listener(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kallyai_mcp.auth.loopback_listener._REQUEST_SECONDS", 0.01)
    async with loopback_sign_in() as (flow, _):
        port = int(flow.redirect_uri.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
        monkeypatch.undo()
        for _ in range(3):
            stream = await anyio.connect_tcp("127.0.0.1", port)
            await stream.send(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            await anyio.aclose_forcefully(stream)
        assert (await raw(flow, b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 421")
