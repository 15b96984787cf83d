"""The browser client: the URLs it opens, the buttons it presses, and its errors."""

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kallyai_mcp.sandbox import browser_client
from kallyai_mcp.sandbox.browser_client import Browser, BrowserClientError
from tests.sandbox.auth.requests import Listener, listening, serving


def _showing(response: Response) -> FastAPI:
    app = FastAPI()
    app.add_api_route("/", lambda: response, methods=["GET", "POST"])
    return app


def test_it_never_leaves_this_machine() -> None:
    for url in (
        "https://127.0.0.1:1/",
        "http://localhost.example/",
        "http://localhost@sandbox.example/",
        "file:///tmp/x",
    ):
        with pytest.raises(BrowserClientError, match="not on this machine"):
            browser_client.sign_in(url)
    away = RedirectResponse("http://sandbox.example/?access_token=leaked", 303)
    with serving(_showing(away)) as address, pytest.raises(BrowserClientError, match="not on this machine") as refused:
        Browser().open(address)
    assert "leaked" not in str(refused.value)
    form = HTMLResponse('<form method="post" action="http://sandbox.example/"><button>Go</button></form>')
    with serving(_showing(form)) as address:
        browser = Browser()
        browser.open(address)
        with pytest.raises(BrowserClientError, match="not on this machine"):
            browser.press("Go")


def test_a_refused_sign_in_is_reported_in_the_sandboxs_words(server: str) -> None:
    with pytest.raises(BrowserClientError, match=r"answered 400: .*This sign-in can't continue.*invalid_redirect_uri"):
        browser_client.sign_in(f"{server}/v1/auth/cli?redirect_uri=http://evil.example:1")


def test_the_text_of_another_servers_error_is_not_repeated(server: str) -> None:
    with listening("/broken") as listener, pytest.raises(BrowserClientError) as failed:
        browser_client.sign_in(f"{server}/v1/auth/cli?redirect_uri={listener.redirect_uri}")
    assert str(failed.value) == "a page answered 500"


def test_a_closed_listener_is_reported_without_tokens(server: str) -> None:
    with listening() as listener:
        gone = listener.redirect_uri
    with pytest.raises(BrowserClientError, match="no answer from") as failed:
        browser_client.sign_in(f"{server}/v1/auth/cli?redirect_uri={gone}")
    assert "token" not in str(failed.value)
    assert failed.value.__suppress_context__


def test_a_missing_button_is_reported_with_the_buttons_that_exist(server: str, listener: Listener) -> None:
    browser = Browser()
    browser.open(f"{server}/v1/auth/cli?redirect_uri={listener.redirect_uri}")
    with pytest.raises(
        BrowserClientError, match=r'no button "Allow" on the page "Sign in to KallyAI .* Continue with Apple'
    ):
        browser.press("Allow")
    with pytest.raises(BrowserClientError, match='more than one button "Continue"'):
        browser.press("Continue")


def test_buttons_have_the_names_that_a_screen_reader_announces() -> None:
    page = """<head><title> A   page </title></head><style>p {}</style><p>Hello<br>there</p><button>No form</button>
        <form action="/" method="get"><input type="hidden" name="empty">
        <button name="go"><span aria-hidden="true">G</span>Written <b>out</b></button></form>"""
    with serving(_showing(HTMLResponse(page))) as address:
        browser = Browser()
        browser.open(address)
        assert browser.buttons == ("Written out",)
        assert browser.title == "A page"
        assert browser.text == "Hello there No form Written out"
        browser.press("Written out")
        assert browser.title == "A page"
