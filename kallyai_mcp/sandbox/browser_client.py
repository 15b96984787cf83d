"""Signs in to the sandbox without a person: a minimal browser that opens a sign-in page and presses its buttons.

It uses the standard library only and connects to loopback hosts only. It finds buttons by the name that a screen reader
announces, not by URL, so that a page that people can't use fails here, too.
"""

import html
import http.client
import http.cookiejar
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from kallyai_mcp.sandbox.accounts import ACCOUNTS, Provider

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_TIMEOUT_SECONDS = 30.0
_MOST_BYTES = 1_000_000


class BrowserClientError(Exception):
    """The sign-in can't continue. The message names the page, never its URL, which may contain tokens."""


def sign_in(url: str, *, account: str = "acct-personal", provider: Provider = "google", allow: bool = True) -> str:
    """Sign in at a page of the sandbox as a person would: `/v1/auth/cli?…` or `/v1/auth/authorize?…`.

    Blocks until the program that waits for the sign-in answers, and returns the text of the page that it shows. Without
    `allow`, it cancels on the first page.

    Raises:
        BrowserClientError: A page is an error or lacks the button, no server answers, or a URL is not on this machine.
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
    """A minimal browser (pages, forms, buttons, redirects, cookies) that prefers this `language`."""

    def __init__(self, language: str = "en") -> None:
        self.title = ""
        self.text = ""  # what is visible, on one line
        self._buttons: list[_Button] = []
        self._sandbox_host = ""  # with its port
        self._url = ""
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # never use a proxy for loopback hosts
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            _LoopbackRedirects(),
        )
        self._opener.addheaders = [("Accept", "text/html, */*;q=0.5"), ("Accept-Language", language)]

    @property
    def buttons(self) -> tuple[str, ...]:
        """The names of the page's buttons, as a screen reader announces them."""
        return tuple(button.name for button in self._buttons)

    def open(self, url: str) -> None:
        """Open `url`, which must be on this machine, and follow its redirects."""
        self._sandbox_host = urlsplit(url).netloc
        self._visit(url)

    def press(self, name: str) -> None:
        """Press the button called `name`, or the only one whose name contains `name`, and submit its form."""
        buttons = self._buttons
        found = [each for each in buttons if each.name == name] or [each for each in buttons if name in each.name]
        if len(found) != 1:
            how_many, there_are = "more than one" if found else "no", ", ".join(self.buttons) or "none"
            raise BrowserClientError(f'{how_many} button "{name}" on the page "{self.title}", which has: {there_are}')
        fields, target = urlencode(found[0].fields), urljoin(self._url, found[0].action)
        if found[0].method == "post":
            self._visit(target, fields.encode())
        else:
            self._visit(urlsplit(target)._replace(query=fields).geturl())

    def _visit(self, url: str, form: bytes | None = None) -> None:
        _check_loopback(url)
        try:
            with self._opener.open(url, form, timeout=_TIMEOUT_SECONDS) as response:
                self._url = response.geturl()
                self._read(_page(response))
        except urllib.error.HTTPError as error:
            with error:
                self._read(_page(error))
            # Only the sandbox's own text is repeated: another server's page may show its URL, which contains tokens.
            is_sandbox = urlsplit(error.geturl()).netloc == self._sandbox_host
            text = f": {self.text[:600]}" if is_sandbox else ""
            raise BrowserClientError(f"a page answered {error.code}{text}") from None
        except (OSError, http.client.HTTPException) as error:
            host = urlsplit(url).netloc
            raise BrowserClientError(f"no answer from {host} or a redirect of it: {type(error).__name__}") from None

    def _read(self, page: str) -> None:
        """Take a page's title, its text, and its buttons, without what a screen reader does not read."""
        title = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
        read = _NOT_READ.sub(" ", page)
        self.title, self.text = _text(title[1]) if title else "", _text(read)
        self._buttons = [button for form in _FORM.finditer(read) for button in _buttons(*form.groups())]


class _LoopbackRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        try:
            _check_loopback(newurl)
        except BrowserClientError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_loopback(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK_HOSTS:
        raise BrowserClientError(f"a URL is not on this machine: {parts.scheme}://{parts.hostname}")


@dataclass(frozen=True)
class _Button:
    name: str
    method: str
    action: str
    fields: list[tuple[str, str]]


_NOT_READ = re.compile(
    r'<(head|title|style|script|template)\b.*?</\1>|<(\w+)[^>]* aria-hidden="true"[^>]*>.*?</\2>', re.DOTALL
)
_FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)
_BUTTON = re.compile(r"<button\b([^>]*)>(.*?)</button>", re.DOTALL)
_HIDDEN = re.compile(r'<input\b([^>]*type="hidden"[^>]*)>')


def _buttons(form: str, content: str) -> list[_Button]:
    about, given = _attributes(form), [_attributes(each) for each in _HIDDEN.findall(content)]
    hidden = [(each["name"], each.get("value", "")) for each in given]
    buttons = []
    for attributes, label in _BUTTON.findall(content):
        own = _attributes(attributes)
        fields = hidden + ([(own["name"], own.get("value", ""))] if "name" in own else [])
        buttons.append(_Button(_text(label), about.get("method", "get"), about.get("action", ""), fields))
    return buttons


def _attributes(tag: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}


def _text(source: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", source)).split())


def _page(response: http.client.HTTPResponse | urllib.error.HTTPError) -> str:
    body = response.read(_MOST_BYTES).decode(response.headers.get_content_charset("utf-8"), "replace")
    return body if response.headers.get_content_type() == "text/html" else html.escape(body)
