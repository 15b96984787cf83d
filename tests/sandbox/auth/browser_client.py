"""Signs in to the sandbox as a browser does: opens its pages, and submits their forms."""

import re
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2

from kallyai_mcp.sandbox.accounts import Provider

NOBODY = "http://127.0.0.1:1"
"""A redirect URI of a program that does not listen: the browser shows its address, with the
answer.
"""


def sign_in(url: str, *, allow: bool = True) -> str:
    """Sign in at `/v1/auth/cli?…`, or cancel; returns the last page.

    Blocks until the program that waits for the sign-in answers.
    """
    browser = Browser(url)
    if not allow:
        browser.press("deny")
    else:
        browser.allow()
    return browser.page.text


def answer_of(
    url: str, *, account: str = "acct-personal", provider: Provider = "google"
) -> dict[str, str]:
    """Sign in at `/v1/auth/cli?…` or `/v1/auth/authorize?…` for a program at `NOBODY`; returns the
    answer to it.
    """
    browser = Browser(url)
    browser.allow(account, provider)
    return browser.answer


def submission(page: httpx2.Response, value: str) -> dict[str, Any]:
    """The request that a browser sends when the button with that value, or the only button, is
    pressed.
    """
    forms = re.findall(
        r'<form[^>]* method="(\w+)" action="([^"]+)">(.*?)</form>', page.text, re.DOTALL
    )
    method, action, inside = next(
        form for form in forms if not value or f'value="{value}"' in form[2]
    )
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', inside))
    pressed = re.findall(rf'<button[^>]* name="(\w+)" value="({value})"', inside) if value else []
    target, filled = urljoin(str(page.url), action), hidden | dict(pressed)
    if method == "get":
        return {"method": "GET", "url": target, "params": filled}
    parts = urlsplit(target)
    headers = {"Origin": f"{parts.scheme}://{parts.netloc}", "Sec-Fetch-Site": "same-origin"}
    return {"method": "POST", "url": target, "data": filled, "headers": headers}


class Browser:
    """A browser with one page of the sandbox's sign-in, which follows redirects; and the last
    answer to `NOBODY`.
    """

    def __init__(self, url: str) -> None:
        self.answer: dict[str, str] = {}
        self._cookies = httpx2.Cookies()
        self._send(method="GET", url=url)

    def press(self, value: str) -> None:
        """Press the button with that value, and submit its form."""
        self._send(**submission(self.page, value))

    def allow(self, account: str = "acct-personal", provider: Provider = "google") -> None:
        """Sign in, from the first page on, and allow what is asked for."""
        self.press(provider)
        self.press(account)
        if 'value="allow"' in self.page.text:
            self.press("allow")

    def _send(self, **request: Any) -> None:
        headers = {"Accept": "text/html"}
        with httpx2.Client(
            cookies=self._cookies, headers=headers, trust_env=False, timeout=60
        ) as http:
            page = http.request(**request)
            self._cookies = http.cookies
        if page.has_redirect_location:
            url = urljoin(str(page.url), page.headers["location"])
            if url.startswith(f"{NOBODY}/"):
                self.answer = {
                    name: value for name, (value,) in parse_qs(urlsplit(url).query).items()
                }
            else:
                self._send(method="GET", url=url)
            return
        assert page.is_success, page.text
        self.page = page
