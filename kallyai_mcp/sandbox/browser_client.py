"""Plays the person at the browser: opens a sandbox sign-in page, presses its buttons, and ends where they lead.

Standard library only, and only loopback hosts are ever talked to. It finds its way by what a screen reader would say
(the names of buttons), not by addresses, so a page that people can't use fails here as well.
"""

import html
import http.client
import http.cookiejar
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import IO
from urllib.parse import urlencode, urljoin, urlsplit

from kallyai_mcp.sandbox.accounts import ACCOUNTS, Provider

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_TIMEOUT_SECONDS = 30.0
_MOST_BYTES = 1_000_000
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)


class BrowserClientError(Exception):
    """The visit can't go on. The message says at which page; never an address, which may hold tokens."""


def sign_in(url: str, *, account: str = "acct-personal", provider: Provider = "google", allow: bool = True) -> str:
    """Sign in at a page of the sandbox as a person would, blocking until the program that waits for it has answered.

    Args:
        url: The sign-in page: `/v1/auth/cli?…` or `/v1/auth/authorize?…` of a sandbox on this machine.
        account: The id of the sandbox account to choose.
        provider: Whose button to press.
        allow: False: press "Cancel" on the first page, as someone who changed their mind.

    Returns:
        What the page at the end of it says: the one that the waiting program shows.

    Raises:
        BrowserClientError: A page is an error or lacks the button, nobody answers, or the way leads off this machine.
        ValueError: There is no such account.
    """
    if account not in ACCOUNTS:
        raise ValueError(f"no such account: {account}; there are {', '.join(ACCOUNTS)}")
    browser = Browser()
    browser.open(url)
    if not allow:
        browser.press("Cancel")
        return browser.text
    browser.press({"google": "Google", "apple": "Apple"}[provider])
    browser.press(ACCOUNTS[account].email)
    if "Allow" in browser.buttons:
        browser.press("Allow")
    return browser.text


class Browser:
    """As much of a browser as a sign-in needs: pages, forms, buttons, redirects, cookies.

    Args:
        language: What to send as `Accept-Language`.
    """

    def __init__(self, language: str = "en") -> None:
        self._home = ""  # the host and port of the sandbox
        self._url = ""
        self._page = _Page("")
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # loopback is never reached through a proxy
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            _LoopbackRedirects(),
        )
        self._opener.addheaders = [("Accept", "text/html, */*;q=0.5"), ("Accept-Language", language)]

    @property
    def title(self) -> str:
        """The page's title; empty when it has none."""
        return _one_line(self._page.title)

    @property
    def text(self) -> str:
        """What is to be read on the page, on one line."""
        return _one_line(self._page.text)

    @property
    def buttons(self) -> tuple[str, ...]:
        """The names of the page's buttons, as a screen reader would say them."""
        return tuple(button.name for button in self._page.buttons)

    def open(self, url: str) -> None:
        """Go to `url`, which must be on this machine, and on to wherever it redirects."""
        _check_loopback(url)
        self._home = urlsplit(url).netloc
        self._visit(urllib.request.Request(url))  # noqa: S310 - checked above

    def press(self, name: str) -> None:
        """Press the button called `name`, or the only one with `name` in its name, and follow its form.

        Raises:
            BrowserClientError: There is no such button, or more than one.
        """
        found = [button for button in self._page.buttons if button.name == name] or [
            button for button in self._page.buttons if name in button.name
        ]
        if len(found) != 1:
            raise BrowserClientError(
                f'{"no" if not found else "more than one"} button "{name}" on the page "{self.title}", which has: '
                f"{', '.join(self.buttons) or 'none'}"
            )
        form, fields = found[0].form, urlencode(found[0].form.fields + found[0].fields)
        target = urljoin(self._url, form.action)
        _check_loopback(target)
        if form.method == "post":
            self._visit(urllib.request.Request(target, fields.encode()))  # noqa: S310 - checked above
        else:
            target = urlsplit(target)._replace(query=fields).geturl()
            self._visit(urllib.request.Request(target))  # noqa: S310 - checked above

    def _visit(self, request: urllib.request.Request) -> None:
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
                self._url = response.geturl()
                self._page = _read(response)
        except urllib.error.HTTPError as error:
            with error:
                page = _read(error)
            # Only the sandbox's own words are passed on: another page might repeat what came to it in its address.
            words = f": {_one_line(page.text)[:600]}" if urlsplit(error.geturl()).netloc == self._home else ""
            raise BrowserClientError(f"a page answered {error.code}{words}") from None
        except (OSError, http.client.HTTPException) as error:
            host = urlsplit(request.full_url).netloc
            raise BrowserClientError(f"nobody answered at or behind {host}: {type(error).__name__}") from None


def _one_line(pieces: list[str]) -> str:
    return " ".join("".join(pieces).split())


class _LoopbackRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        try:
            _check_loopback(newurl)
        except BrowserClientError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_loopback(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK_HOSTS:
        raise BrowserClientError(f"the way leads off this machine, to {parts.scheme}://{parts.hostname}")


@dataclass
class _Form:
    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Button:
    form: _Form
    fields: list[tuple[str, str]]
    label: str | None
    words: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.label or _one_line(self.words)


class _Page(HTMLParser):
    """A page as a screen reader takes it in: its title, its words, its forms and their buttons."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.title: list[str] = []
        self.text: list[str] = []
        self.buttons: list[_Button] = []
        self._open: list[tuple[str, bool]] = []  # each open tag, and whether what is in it is hidden
        self._form: _Form | None = None
        self._button: _Button | None = None
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in _VOID:
            hidden = (
                tag in {"head", "script", "style", "template"}
                or "hidden" in given
                or given.get("aria-hidden") == "true"
            )
            self._open.append((tag, hidden or self._hidden))
        self._say(" ")
        if tag == "form":
            self._form = _Form(given.get("action", ""), given.get("method", "get").lower())
        elif tag == "input" and self._form and given.get("type") == "hidden" and "name" in given:
            self._form.fields.append((given["name"], given.get("value", "")))
        elif tag == "button" and self._form and not self._hidden and given.get("type", "submit") == "submit":
            sent = [(given["name"], given.get("value", ""))] if "name" in given else []
            self._button = _Button(self._form, sent, given.get("aria-label"))

    def handle_endtag(self, tag: str) -> None:
        if any(name == tag for name, _ in self._open):
            while self._open.pop()[0] != tag:
                pass
        self._say(" ")
        if tag == "form":
            self._form = None
        elif tag == "button" and self._button:
            self.buttons.append(self._button)
            self._button = None

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "title":
            self.title.append(data)
        elif not self._hidden:
            self._say(data)

    @property
    def _hidden(self) -> bool:
        return bool(self._open) and self._open[-1][1]

    def _say(self, words: str) -> None:
        self.text.append(words)
        if self._button:
            self._button.words.append(words)


def _read(response: http.client.HTTPResponse | urllib.error.HTTPError) -> _Page:
    body = response.read(_MOST_BYTES).decode(response.headers.get_content_charset("utf-8"), "replace")
    return _Page(body) if response.headers.get_content_type() == "text/html" else _Page(html.escape(body))
