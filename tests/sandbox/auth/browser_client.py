"""Signs in to the sandbox as a person would: opens its pages, and presses buttons by their names."""

import html
import re
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2

from kallyai_mcp.sandbox.accounts import ACCOUNTS, Provider

_NOT_READ = re.compile(
    r'<(head|title|style|script|template)\b.*?</\1>|<(\w+)[^>]* aria-hidden="true"[^>]*>.*?</\2>', re.DOTALL
)
_FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)
_BUTTON = re.compile(r"<button\b([^>]*)>(.*?)</button>", re.DOTALL)
_HIDDEN = re.compile(r'<input\b([^>]*type="hidden"[^>]*)>')


NOBODY = "http://127.0.0.1:1"
"""A redirect URI of a program that does not listen: the browser shows its address, with the answer."""


def sign_in(url: str, *, allow: bool = True) -> str:
    """Sign in at `/v1/auth/cli?…`, or cancel; returns the text of the last page.

    Blocks until the program that waits for the sign-in answers.
    """
    browser = Browser()
    browser.open(url)
    if not allow:
        browser.press("Cancel")
    else:
        browser.allow()
    return browser.text


def answer_of(url: str, *, account: str = "acct-personal", provider: Provider = "google") -> dict[str, str]:
    """Sign in at `/v1/auth/cli?…` or `/v1/auth/authorize?…` for a program at `NOBODY`; returns the answer to it."""
    browser = Browser()
    browser.open(url)
    browser.allow(account, provider)
    return browser.answer


class Browser:
    """A page at a time, with its title, its text on one line, and the names of its buttons; and the last answer."""

    def __init__(self) -> None:
        self.title = self.text = ""
        self.buttons: tuple[str, ...] = ()
        self.answer: dict[str, str] = {}
        self._url = self._page = ""
        self._cookies = httpx2.Cookies()

    def open(self, url: str, form: str | None = None) -> None:
        """Open a page, or send a form, and follow its redirects."""
        headers = {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}
        with httpx2.Client(cookies=self._cookies, trust_env=False, timeout=30) as http:
            got = http.request("GET" if form is None else "POST", url, content=form, headers=headers)
            self._cookies = http.cookies
        if got.has_redirect_location:
            url = urljoin(url, got.headers["location"])
            if url.startswith(f"{NOBODY}/"):
                self.answer = {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
                return
            self.open(url)
            return
        page = got.text
        assert got.is_success, _text(page)
        self._url, self._page = str(got.url), _NOT_READ.sub(" ", page)
        title = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
        self.title, self.text = _text(title[1]) if title else "", _text(self._page)
        self.buttons = tuple(_text(label) for _, label in _BUTTON.findall(self._page))

    def allow(self, account: str = "acct-personal", provider: Provider = "google") -> None:
        """Sign in, from the first page on, and allow what is asked for."""
        self.press({"google": "Google", "apple": "Apple"}[provider])
        self.press(ACCOUNTS[account].email)
        if "Allow" in self.buttons:
            self.press("Allow")

    def press(self, name: str) -> None:
        """Press the button called `name`, or the only one whose name contains `name`, and submit its form."""
        exact = name in self.buttons
        for form, content in _FORM.findall(self._page):
            for attributes, label in _BUTTON.findall(content):
                if _text(label) != name if exact else name not in _text(label):
                    continue
                about = _attributes(form)
                given = [_attributes(each) for each in (*_HIDDEN.findall(content), attributes)]
                fields = urlencode([(each["name"], each.get("value", "")) for each in given if "name" in each])
                target = urljoin(self._url, about.get("action", ""))
                if about.get("method") == "post":
                    return self.open(target, fields)
                return self.open(f"{target}?{fields}")
        raise AssertionError(f'no button "{name}" on the page "{self.title}", which has: {", ".join(self.buttons)}')


def _attributes(tag: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}


def _text(source: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", source)).split())
