"""The pages that a person sees on the way: plain HTML without script, in English or Spanish, light and dark."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse

from kallyai_mcp.auth import pages as shared
from kallyai_mcp.auth.oauth_server.redirects import Destination
from kallyai_mcp.auth.oauth_server.text import SCOPES, WORDS, Language, Trouble

_HANDSET = (
    '<svg viewBox="0 0 24 24" aria-hidden="true" fill="currentColor"><path d="M7.2 3.5 9.6 8 7.9 10.2a12 12 0 0 0 5.9 '
    '5.9L16 14.4l4.5 2.4c-.3 2.2-1.9 3.7-4 3.7C9.6 20.5 3.5 14.4 3.5 7.5c0-2.1 1.5-3.7 3.7-4z"/></svg>'
)


class Pages:
    """Makes the pages.

    Args:
        here: Our own host, as people know it.
        upstream: KallyAI's host.
    """

    def __init__(self, here: str, upstream: str) -> None:
        self._here = here
        self._upstream = upstream

    def consent(
        self,
        request: Request,
        *,
        flow: str,
        client: str | None,
        publisher: str | None,
        redirect_uri: str,
        leads: Destination,
        scopes: Iterable[str],
    ) -> HTMLResponse:
        """Asks whether a client may act for whoever sits here.

        Args:
            request: For its language.
            flow: Names the request in the form.
            client: What the client calls itself.
            publisher: The host of its metadata document, which it can't have made up.
            redirect_uri: Where the person will be sent.
            leads: The same, for a person.
            scopes: What the client may then do.
        """
        language, t = _language(request)
        heading = t["connect"].format(client=t["quoted"].format(name=client) if client else t["unnamed"])
        published = f'<dt>{t["publisher"]}</dt><dd class="host">{escape(publisher)}</dd>' if publisher else ""
        items = "".join(f"<li>{escape(SCOPES[language][scope])}</li>" for scope in _by_weight(scopes))
        claims = f'<p class="soft">{t["claims"]}</p>' if client else ""
        body = (
            f"{claims}"
            f'<div class="well"><dl>{published}<dt>{t[f"sent_{leads.kind}"]}</dt>'
            f'<dd class="host">{escape(leads.name)}</dd>'
            f'<dt>{t["full"]}</dt><dd class="full">{escape(redirect_uri)}</dd></dl></div>'
            f"<h2>{t['may']}</h2><ul>{items}</ul>"
            f'<p class="warning">{t["unsure"]}</p>'
            f'<form method="post" action="consent"><input type="hidden" name="flow" value="{escape(flow)}">'
            '<div class="choices">'
            f'<button class="primary" name="decision" value="allow">{t["allow"]}</button>'
            f'<button name="decision" value="deny">{t["cancel"]}</button>'
            "</div></form>"
        )
        note = f"<p>{t['next'].format(host=escape(self._upstream))} <a href='sign-out'>{t['later']}</a></p>"
        return self._page(language, heading, body, note=note, forms=True)

    def onward(self, request: Request, url: str, *, upstream: bool) -> HTMLResponse:
        """Goes on to `url` by itself, or by a link where the browser doesn't.

        Not a redirect: Chromium holds the form-action of a page against every redirect that follows its form, and
        neither KallyAI's page nor ours can name all that come after.

        Args:
            request: For its language.
            url: Where to.
            upstream: To KallyAI, and not back to the client.
        """
        language, t = _language(request)
        heading = t["going_upstream"] if upstream else t["going_back"]
        after = "" if upstream else f'<p class="soft">{t["may_close"]}</p>'
        body = (
            f'<p class="soft">{t["going_text"]}</p>'
            f'<p class="choices"><a class="button primary" href="{escape(url)}" rel="noreferrer">{heading}</a></p>'
            f"{after}"
        )
        head = f'<meta http-equiv="refresh" content="0;url={escape(url)}">\n'
        return self._page(language, heading, body, head=head)

    def trouble(
        self,
        request: Request,
        kind: Trouble,
        *,
        details: str | None = None,
        back: tuple[str, Destination] | None = None,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """Says why it doesn't go on.

        Args:
            request: For its language.
            kind: What is the matter.
            details: For whoever made the client; in English.
            back: Where the client waits for the error; followed only by whoever wants to.
            status: The HTTP status.
            headers: More headers.
        """
        language, t = _language(request)
        text = t.get(f"{kind}_text")
        body = f"<p>{text}</p>" if text else ""
        if details is not None:
            body += f'<p class="soft" lang="en">{escape(details)}</p>'
        if back is not None:
            url, leads = back
            words = t["go_back"].format(name=leads.name)
            body += (
                f'<p class="choices"><a class="button" href="{escape(url)}" rel="noreferrer">{escape(words)}</a></p>'
            )
        return self._page(language, t[kind], body, status=status, headers=headers)

    def sign_out(self, request: Request, *, ticket: str, allowed: Sequence[tuple[str | None, str]]) -> HTMLResponse:
        """Shows what was connected in this browser, to be disconnected.

        Args:
            request: For its language.
            ticket: Goes with the form.
            allowed: The clients' names, and the day (ISO 8601) each was connected.
        """
        language, t = _language(request)
        if not allowed:
            return self._page(language, t["sign_out"], f"<p>{t['none']}</p>")
        items = "".join(
            f'<li class="plain">{escape(name or t["unnamed"])} <span class="soft">'
            f"{t['since'].format(day=escape(day))}</span></li>"
            for name, day in allowed
        )
        body = (
            f'<p>{t["connected"]}</p><ul>{items}</ul><p class="soft">{t["sign_out_text"]}</p>'
            f'<form method="post" action="sign-out"><input type="hidden" name="ticket" value="{escape(ticket)}">'
            f'<div class="choices"><button class="primary">{t["disconnect"]}</button></div></form>'
        )
        return self._page(language, t["sign_out"], body, forms=True)

    def signed_out(self, request: Request) -> HTMLResponse:
        """Says that they are disconnected."""
        language, t = _language(request)
        return self._page(language, t["gone"], f"<p>{t['gone_text']}</p>")

    def _page(
        self,
        language: Language,
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
            f'<p class="brand">{_HANDSET}KallyAI · {escape(self._here)}</p>\n'
            f"<h1>{title}</h1>\n{body}\n<footer>{note}<p>kallyai-mcp</p></footer>\n</main>\n</body>\n</html>\n"
        )
        targets = "'self'" if forms else "'none'"
        policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
            f"form-action {targets}; frame-ancestors 'none'"
        )
        # A client that opened this in a pop-up waits for word from it, and an opener policy would cut the two apart.
        common = {name: value for name, value in shared.HEADERS.items() if name != "Cross-Origin-Opener-Policy"}
        ours = {
            **common,
            "Content-Security-Policy": policy,
            "Content-Language": language,
            # With no-referrer a browser sends a form with `Origin: null`, and then nobody can tell whose it was.
            "Referrer-Policy": "same-origin" if forms else "no-referrer",
            "Vary": "Accept-Language, Cookie",
        }
        return HTMLResponse(page, status, ours | dict(headers or {}))


@cache
def _style() -> tuple[str, str]:
    """The style sheet, and its hash for the policy."""
    text = files("kallyai_mcp.auth.oauth_server").joinpath("style.css").read_text(encoding="utf-8")
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _language(request: Request) -> tuple[Language, Mapping[str, str]]:
    language: Language = "es" if shared.language(request.headers.get("Accept-Language", "")) == "es" else "en"
    return language, WORDS[language]


def _by_weight(scopes: Iterable[str]) -> list[str]:
    """The scopes that weigh most first, as the words are listed."""
    asked = set(scopes)
    return [scope for scope in SCOPES["en"] if scope in asked]
