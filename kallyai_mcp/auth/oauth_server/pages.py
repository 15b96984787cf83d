"""The pages of the OAuth server: plain HTML without scripts, in English or Spanish, light and dark."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse

from kallyai_mcp.auth import pages as shared
from kallyai_mcp.auth.oauth_server.redirects import Destination, destination_of
from kallyai_mcp.auth.oauth_server.text import SCOPES, TEXTS, Problem

_PHONE_ICON = (
    '<svg viewBox="0 0 24 24" aria-hidden="true" fill="currentColor"><path d="M7.2 3.5 9.6 8 7.9 10.2a12 12 0 0 0 5.9 '
    '5.9L16 14.4l4.5 2.4c-.3 2.2-1.9 3.7-4 3.7C9.6 20.5 3.5 14.4 3.5 7.5c0-2.1 1.5-3.7 3.7-4z"/></svg>'
)


class Pages:
    """Makes the pages.

    Args:
        own_host: Our own host, as people know it.
        api_host: KallyAI's host.
    """

    def __init__(self, own_host: str, api_host: str) -> None:
        self._own_host = own_host
        self._api_host = api_host

    def consent(
        self,
        request: Request,
        *,
        flow: str,
        client: str | None,
        publisher: str | None,
        redirect_uri: str,
        scopes: Iterable[str],
    ) -> HTMLResponse:
        """The page that asks the user whether a client may act for them.

        Args:
            request: Its headers say which language.
            flow: The flow's name, for the form.
            client: What the client calls itself.
            publisher: The host of the client's metadata document, which proves where it comes from.
            redirect_uri: Where the user will be sent.
            scopes: What the client asks for.
        """
        language, t = _language(request)
        destination = destination_of(redirect_uri)
        heading = t["connect"].format(client=t["quoted"].format(name=client) if client else t["unnamed"])
        published = f'<dt>{t["publisher"]}</dt><dd class="host">{escape(publisher)}</dd>' if publisher else ""
        items = "".join(f"<li>{escape(SCOPES[language][scope])}</li>" for scope in _by_importance(scopes))
        unchecked = f'<p class="soft">{t["unchecked"]}</p>' if client else ""
        body = (
            f"{unchecked}"
            f'<div class="well"><dl>{published}<dt>{t[f"sent_{destination.kind}"]}</dt>'
            f'<dd class="host">{escape(destination.name)}</dd>'
            f'<dt>{t["full"]}</dt><dd class="full">{escape(redirect_uri)}</dd></dl></div>'
            f"<h2>{t['may']}</h2><ul>{items}</ul>"
            f'<p class="warning">{t["unsure"]}</p>'
            f'<form method="post" action="consent"><input type="hidden" name="flow" value="{escape(flow)}">'
            '<div class="choices">'
            f'<button class="primary" name="decision" value="allow">{t["allow"]}</button>'
            f'<button name="decision" value="deny">{t["cancel"]}</button>'
            "</div></form>"
        )
        note = f"<p>{t['next'].format(host=escape(self._api_host))} <a href='sign-out'>{t['later']}</a></p>"
        return self._page(language, heading, body, note=note, forms=True)

    def forward_to_kallyai(self, request: Request, url: str) -> HTMLResponse:
        """The page that sends the browser to KallyAI."""
        language, t = _language(request)
        return self._forward(language, t["to_kallyai"], url)

    def forward_to_client(self, request: Request, url: str) -> HTMLResponse:
        """The page that sends the browser back to the client."""
        language, t = _language(request)
        return self._forward(language, t["to_client"], url, f'<p class="soft">{t["may_close"]}</p>')

    def problem(
        self,
        request: Request,
        kind: Problem,
        *,
        details: str | None = None,
        back: tuple[str, Destination] | None = None,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """The page that says why the sign-in can't go on.

        Args:
            request: Its headers say which language.
            kind: What the problem is.
            details: More, for the developer of the client; in English.
            back: The client's redirect URI with the error, for a link, and where it leads.
            status: The HTTP status.
            headers: More headers.
        """
        language, t = _language(request)
        text = t.get(f"{kind}_text")
        body = f"<p>{text}</p>" if text else ""
        if details is not None:
            body += f'<p class="soft" lang="en">{escape(details)}</p>'
        if back is not None:
            url, destination = back
            label = t["go_back"].format(name=destination.name)
            body += (
                f'<p class="choices"><a class="button" href="{escape(url)}" rel="noreferrer">{escape(label)}</a></p>'
            )
        return self._page(language, t[kind], body, status=status, headers=headers)

    def sign_out(self, request: Request, *, ticket: str, apps: Sequence[tuple[str | None, str]]) -> HTMLResponse:
        """The page that shows the connected apps, with a button to disconnect them.

        Args:
            request: Its headers say which language.
            ticket: Proves that the form is of this page.
            apps: The name of each app, and the day (ISO 8601) on which it was connected.
        """
        language, t = _language(request)
        if not apps:
            return self._page(language, t["sign_out"], f"<p>{t['none']}</p>")
        items = "".join(
            f'<li class="plain">{escape(name or t["unnamed"])} <span class="soft">'
            f"{t['since'].format(day=escape(day))}</span></li>"
            for name, day in apps
        )
        body = (
            f'<p>{t["connected"]}</p><ul>{items}</ul><p class="soft">{t["sign_out_text"]}</p>'
            f'<form method="post" action="sign-out"><input type="hidden" name="ticket" value="{escape(ticket)}">'
            f'<div class="choices"><button class="primary">{t["disconnect"]}</button></div></form>'
        )
        return self._page(language, t["sign_out"], body, forms=True)

    def signed_out(self, request: Request) -> HTMLResponse:
        """The page that says that the apps are disconnected."""
        language, t = _language(request)
        return self._page(language, t["gone"], f"<p>{t['gone_text']}</p>")

    def _forward(self, language: shared.Language, heading: str, url: str, note: str = "") -> HTMLResponse:
        """A page that opens `url` by itself, and has a link for browsers that don't.

        It is not a redirect, because Chromium applies the form-action policy of a page to all redirects that follow its
        form, and we can't know all that come after KallyAI's page or the client's.
        """
        body = (
            f'<p class="soft">{TEXTS[language]["forward_text"]}</p>'
            f'<p class="choices"><a class="button primary" href="{escape(url)}" rel="noreferrer">{heading}</a></p>'
            f"{note}"
        )
        head = f'<meta http-equiv="refresh" content="0;url={escape(url)}">\n'
        return self._page(language, heading, body, head=head)

    def _page(
        self,
        language: shared.Language,
        heading: str,
        body: str,
        *,
        head: str = "",
        note: str = "",
        status: int = 200,
        forms: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        style, digest = _style()
        title = escape(heading)
        page = (
            f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
            f"<title>{title} | KallyAI</title>\n"
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta name="robots" content="noindex">\n{head}<style>{style}</style>\n</head>\n<body>\n<main>\n'
            f'<p class="brand">{_PHONE_ICON}KallyAI · {escape(self._own_host)}</p>\n'
            f"<h1>{title}</h1>\n{body}\n<footer>{note}<p>kallyai-mcp</p></footer>\n</main>\n</body>\n</html>\n"
        )
        targets = "'self'" if forms else "'none'"
        policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
            f"form-action {targets}; frame-ancestors 'none'"
        )
        # A client may have opened the page as a pop-up and wait for it. An opener policy would separate the two.
        common = {name: value for name, value in shared.HEADERS.items() if name != "Cross-Origin-Opener-Policy"}
        all_headers = {
            **common,
            "Content-Security-Policy": policy,
            "Content-Language": language,
            # With no-referrer a browser sends a form with `Origin: null`, which could come from any page.
            "Referrer-Policy": "same-origin" if forms else "no-referrer",
            "Vary": "Accept-Language, Cookie",
        }
        return HTMLResponse(page, status, all_headers | dict(headers or {}))


@cache
def _style() -> tuple[str, str]:
    """The style sheet, and its hash for the content security policy."""
    text = files("kallyai_mcp.auth.oauth_server").joinpath("style.css").read_text(encoding="utf-8")
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _language(request: Request) -> tuple[shared.Language, Mapping[str, str]]:
    language = shared.language(request.headers.get("Accept-Language", ""))
    return language, TEXTS[language]


def _by_importance(scopes: Iterable[str]) -> list[str]:
    """`scopes` in the order of the texts: the most important first."""
    requested = set(scopes)
    return [scope for scope in SCOPES["en"] if scope in requested]
