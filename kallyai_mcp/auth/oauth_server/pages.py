"""The pages of the OAuth server: HTML without scripts, in English or Spanish, for light and dark mode."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from html import escape
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kallyai_mcp.auth.oauth_server.home_page import home_page
from kallyai_mcp.auth.oauth_server.redirects import Destination, destination_of
from kallyai_mcp.auth.oauth_server.text import Problem, date_in_words, texts
from kallyai_mcp.auth.page_layout import document, page_headers
from kallyai_mcp.languages import Language, page_language


class Pages:
    """Makes the pages, each in the language that the request's headers prefer.

    Args:
        issuer: Our own base URL.
        api_host: KallyAI's host.
    """

    def __init__(self, issuer: str, api_host: str) -> None:
        self._issuer = issuer
        self._api_host = api_host

    async def home(self, request: Request) -> HTMLResponse:
        """`GET /`: the page for a person who opens the server's root URL."""
        lang, _ = _language(request)
        heading, body = home_page(lang, issuer=self._issuer, api_host=self._api_host)
        return self._page(lang, heading, body)

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
            request: The request.
            flow: The name of the flow, which the form repeats.
            client: The client's own name, which nobody has checked.
            publisher: The host of the client's metadata document, which proves where the client comes from.
            redirect_uri: The redirect URI.
            scopes: The scopes that the client asks for.
        """
        lang, t = _language(request)
        destination = destination_of(redirect_uri)
        heading = t["connect"].format(client=t["quoted"].format(name=client) if client else t["unnamed"])
        published = f'<dt>{t["publisher"]}</dt><dd class="host">{escape(publisher)}</dd>' if publisher else ""
        may = texts("scopes", lang)
        items = "".join(f"<li>{escape(may[scope])}</li>" for scope in _by_importance(scopes))
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
        return self._page(lang, heading, body, note=note, forms=True)

    def forward_to_kallyai(self, request: Request, url: str) -> Response:
        """The response that sends the browser to KallyAI, at `url`."""
        _, t = _language(request)
        return self._forward(request, t["to_kallyai"], url)

    def forward_to_client(self, request: Request, url: str) -> Response:
        """The response that sends the browser back to the client, at `url`."""
        _, t = _language(request)
        return self._forward(request, t["to_client"], url, f'<p class="soft">{t["may_close"]}</p>')

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
            request: The request.
            kind: The reason.
            details: More about it, in English, for the developer of the client.
            back: A link to the client: its redirect URI with the error, and the destination of that.
            status: The HTTP status.
            headers: More headers.
        """
        lang, t = _language(request)
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
        return self._page(lang, t[kind], body, status=status, headers=headers)

    def sign_out(self, request: Request, *, ticket: str, apps: Sequence[tuple[str | None, date]]) -> HTMLResponse:
        """The page with the connected apps and a button to disconnect them.

        Args:
            request: The request.
            ticket: Proves that the form was sent from this page.
            apps: The name of each app, and the day when it was connected.
        """
        lang, t = _language(request)
        if not apps:
            return self._page(lang, t["sign_out"], f"<p>{t['none']}</p>")
        items = "".join(
            f'<li class="plain"><bdi>{escape(name or t["unnamed"])}</bdi> <span class="soft">'
            f"{t['since'].format(day=date_in_words(day, lang))}</span></li>"
            for name, day in apps
        )
        body = (
            f'<p>{t["connected"]}</p><ul>{items}</ul><p class="soft">{t["sign_out_text"]}</p>'
            f'<form method="post" action="sign-out"><input type="hidden" name="ticket" value="{escape(ticket)}">'
            f'<div class="choices"><button class="primary">{t["disconnect"]}</button></div></form>'
        )
        return self._page(lang, t["sign_out"], body, forms=True)

    def signed_out(self, request: Request) -> HTMLResponse:
        """The page that says that the apps are disconnected."""
        lang, t = _language(request)
        return self._page(lang, t["gone"], f"<p>{t['gone_text']}</p>")

    def _forward(self, request: Request, heading: str, url: str, note: str = "") -> Response:
        """A redirect; for a browser, a page that opens `url` by itself, with a link in case that does not work.

        A browser gets no redirect. Chromium applies the form-action policy of a page to all redirects after its form,
        and we can't know those of KallyAI or the client. Browsers are known by their Fetch Metadata headers.
        """
        lang, t = _language(request)
        if "Sec-Fetch-Mode" not in request.headers:
            return RedirectResponse(url, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        body = (
            f'<p class="soft">{t["forward_text"]}</p>'
            f'<p class="choices"><a class="button primary" href="{escape(url)}" rel="noreferrer">{heading}</a></p>'
            f"{note}"
        )
        head = f'<meta http-equiv="refresh" content="0;url={escape(url)}">\n'
        return self._page(lang, heading, body, head=head)

    def _page(
        self,
        lang: Language,
        heading: str,
        body: str,
        *,
        head: str = "",
        note: str = "",
        status: int = 200,
        forms: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        page = document(lang, heading, body, brand=urlsplit(self._issuer).netloc, head=head, footer=note)
        # Without an opener policy, which would separate the page from a client that opened it as a pop-up.
        all_headers = {**page_headers(forms=forms), "Content-Language": lang, "Vary": "Accept-Language, Cookie"}
        return HTMLResponse(page, status, {**all_headers, **(headers or {})})


def _language(request: Request) -> tuple[Language, Mapping[str, str]]:
    lang = page_language(request.headers.get("Accept-Language", ""))
    return lang, texts("pages", lang)


def _by_importance(scopes: Iterable[str]) -> list[str]:
    """`scopes` in the order of the texts: the most important first."""
    requested = set(scopes)
    return [scope for scope in texts("scopes", "en") if scope in requested]
