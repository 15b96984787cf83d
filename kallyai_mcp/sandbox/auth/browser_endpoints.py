"""The sign-in in a browser: `/v1/auth/cli`, `/v1/auth/authorize`, and the pages up to the redirect.

    cli ──────┐                                ┌─ cli: redirect with tokens
              ├─ sign in ── choose an account ─┤
    authorize ┘                                └─ authorize: consent ── redirect with a code

Every page has a button to cancel: redirect with `error=access_denied`. The pages pass the program's
request on in a hidden field: a signed token with the digest of a cookie, so that another site can't
make this browser send a form that it prepared (RFC 6749, section 10.12). A check of the Origin
header can't replace this: with `Referrer-Policy: no-referrer`, browsers send `Origin: null`.
"""

import re
import secrets
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode, urlsplit

from fastapi import APIRouter, Cookie, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kallyai_mcp.sandbox import pages
from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES, Provider, scopes_in
from kallyai_mcp.sandbox.auth.access import NO_STORE, auth_error, no_store
from kallyai_mcp.sandbox.auth.clients import CLIENTS, is_cli_redirect
from kallyai_mcp.sandbox.auth.tokens import digest
from kallyai_mcp.sandbox.errors import error_body
from kallyai_mcp.sandbox.state import Sandbox, SandboxDep

BROWSER_COOKIE = "kallyai_sandbox_browser"
REQUEST_SECONDS = 600
"""The time a user has from the first page to the last."""

_ISSUER = "kallyai-sandbox-pages"
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
_PROVIDERS: dict[Provider, str] = {"google": "Google", "apple": "Apple"}


@dataclass(frozen=True)
class AuthorizationRequest:
    """A program's request; `client_id` is None for the CLI flow, and `account_id` until an account
    was chosen.
    """

    redirect_uri: str
    state: str | None
    client_id: str | None = None
    scopes: tuple[str, ...] = tuple(SCOPES)
    account_id: str | None = None

    def redirect(self, **parameters: str | int) -> Response:
        """Return a redirect to the program with `parameters` and the state (if there is one) in its
        query.
        """
        if self.state is not None:
            parameters["state"] = self.state
        query = urlencode(parameters, quote_via=quote)
        separator = "&" if "?" in self.redirect_uri else "?"
        url = f"{self.redirect_uri}{separator}{query}"
        return RedirectResponse(url, 303, NO_STORE | {"Referrer-Policy": "no-referrer"})

    def encode(self, sandbox: Sandbox, browser: str) -> str:
        """Return the token of the request; it is valid for `REQUEST_SECONDS` and for this `browser`
        cookie.
        """
        return sandbox.tokens.sign(
            "pages", _ISSUER, REQUEST_SECONDS, {**vars(self), "browser": digest(browser).hex()}
        )


def _decode(sandbox: Sandbox, token: str, browser: str) -> AuthorizationRequest | None:
    """Return the request of a token; None if the token is not valid, has expired, or is for another
    browser.
    """
    claims = sandbox.tokens.verify_unexpired("pages", _ISSUER, token)
    if claims is None:
        return None
    if claims["browser"] != digest(browser).hex():
        return None
    given = {name: claims[name] for name in ("redirect_uri", "state", "client_id", "account_id")}
    return AuthorizationRequest(**given, scopes=tuple(claims["scopes"]))


router = APIRouter(tags=["Authentication"], dependencies=[no_store])

State = Annotated[str | None, Query(description="Returned in the redirect unchanged.")]
RedirectUri = Annotated[str, Query(description="Required.")]
BrowserCookie = Annotated[str, Cookie(alias=BROWSER_COOKIE, include_in_schema=False)]
RequestToken = Annotated[str, Query(alias="request")]
RequestTokenField = Annotated[str, Form(alias="request")]


_PAGE_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {
        "description": (
            "The `redirect_uri` or the `client_id` is missing or not allowed; there is no redirect"
        ),
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}},
            "text/html": {},
        },
    }
}


@router.get(
    "/v1/auth/cli",
    summary="CLI sign-in: the page to open in a browser",
    response_class=HTMLResponse,
    responses=_PAGE_ERRORS,
)
def cli(
    request: Request,
    sandbox: SandboxDep,
    redirect_uri: RedirectUri = "",
    state: State = None,
    browser: BrowserCookie = "",
) -> Response:
    """Sign a terminal program in ("CLI Authentication" of the reference).

    Ends at `redirect_uri?access_token=…&refresh_token=…&expires_in=3600&state=…`, or at
    `redirect_uri?error=access_denied&state=…`. `redirect_uri` must be `http://localhost:PORT` or
    `http://127.0.0.1:PORT`.
    """
    if not is_cli_redirect(redirect_uri):
        reason = "redirect_uri must be http://localhost:PORT or http://127.0.0.1:PORT"
        return _error(request, "invalid_redirect_uri", "The redirect_uri is not allowed", reason)
    return _sign_in_page(request, sandbox, AuthorizationRequest(redirect_uri, state), browser)


@router.get(
    "/v1/auth/authorize",
    summary="OAuth2 authorization: the page to open in a browser",
    response_class=HTMLResponse,
    responses=_PAGE_ERRORS
    | {303: {"description": "Back to `redirect_uri` with `error` (RFC 6749, section 4.1.2.1)"}},
)
def authorize(
    request: Request,
    sandbox: SandboxDep,
    client_id: Annotated[str, Query(description="`sandbox-client` or `sandbox-partner`.")] = "",
    redirect_uri: RedirectUri = "",
    response_type: Annotated[str | None, Query(description="Must be `code`.")] = None,
    state: State = None,
    scope: Annotated[
        str | None, Query(description="Space-separated scopes; left out: all of them.")
    ] = None,
    browser: BrowserCookie = "",
) -> Response:
    """Ask the user to authorize an OAuth client ("OAuth2 Authorization Code Flow" of the
    reference).

    Ends at `redirect_uri?code=…&state=…`, or at `redirect_uri?error=…&state=…`. The code is valid
    for 60 seconds.
    """
    client = CLIENTS.get(client_id)
    if client is None:
        return _error(
            request, "invalid_client", "The client is not known", f"there are {', '.join(CLIENTS)}"
        )
    if not client.may_redirect_to(redirect_uri):
        reason = "redirect_uri is not one that this client has registered"
        return _error(request, "invalid_redirect_uri", "The redirect_uri is not allowed", reason)
    back = AuthorizationRequest(redirect_uri, state, client.id)
    if response_type is None:
        return back.redirect(error="invalid_request", error_description="response_type is missing")
    if response_type != "code":
        return back.redirect(
            error="unsupported_response_type", error_description="response_type must be code"
        )
    named = dict.fromkeys((scope or "").split())
    scopes = tuple(named or SCOPES)
    if not set(scopes) <= set(SCOPES):
        return back.redirect(
            error="invalid_scope", error_description=f"the scopes are {' '.join(SCOPES)}"
        )
    return _sign_in_page(request, sandbox, replace(back, scopes=scopes), browser)


@router.get("/v1/auth/sign-in", include_in_schema=False)
def account_page(
    request: Request,
    sandbox: SandboxDep,
    token: RequestToken,
    provider: Provider,
    browser: BrowserCookie = "",
) -> Response:
    """Show the accounts to choose from."""
    asked = _decode(sandbox, token, browser)
    if asked is None:
        return _expired(request)
    accounts = ACCOUNTS.values()
    return _page(
        request,
        "choose.html",
        asked,
        request_token=token,
        provider=_PROVIDERS[provider],
        accounts=accounts,
    )


@router.post("/v1/auth/sign-in", include_in_schema=False)
def sign_in(
    request: Request,
    sandbox: SandboxDep,
    token: RequestTokenField,
    account: Annotated[str, Form()],
    browser: BrowserCookie = "",
) -> Response:
    """Take the chosen account: redirect the CLI flow to its program, and an OAuth client's flow to
    the consent page.
    """
    asked = _decode(sandbox, token, browser)
    if asked is None:
        return _expired(request)
    if account not in ACCOUNTS:
        return _error(
            request,
            "invalid_request",
            "There is no such account",
            f"there are {', '.join(ACCOUNTS)}",
        )
    if asked.client_id is None:
        issued = sandbox.tokens.issue(account)
        return asked.redirect(
            **issued.model_dump(include={"access_token", "refresh_token", "expires_in"})
        )
    chosen = replace(asked, account_id=account).encode(sandbox, browser)
    return RedirectResponse(f"consent?request={chosen}", 303, NO_STORE)


@router.get("/v1/auth/consent", include_in_schema=False)
def consent_page(
    request: Request, sandbox: SandboxDep, token: RequestToken, browser: BrowserCookie = ""
) -> Response:
    """Show the scopes that the client asks for, to allow or deny."""
    asked = _decode(sandbox, token, browser)
    if asked is None or asked.client_id is None or asked.account_id is None:
        return _expired(request)
    described = scopes_in(pages.preferred_language(request))
    scopes = {scope: described[scope] for scope in asked.scopes}
    client = CLIENTS[asked.client_id].name
    email = ACCOUNTS[asked.account_id].email
    return _page(
        request,
        "consent.html",
        asked,
        request_token=token,
        client=client,
        email=email,
        scopes=scopes,
    )


@router.post("/v1/auth/consent", include_in_schema=False)
def consent(
    request: Request,
    sandbox: SandboxDep,
    token: RequestTokenField,
    decision: Annotated[Literal["allow", "deny"], Form()],
    browser: BrowserCookie = "",
) -> Response:
    """Take the decision. "deny" is accepted from every page, "allow" from the consent page only."""
    asked = _decode(sandbox, token, browser)
    if asked is None:
        return _expired(request)
    if decision == "deny":
        return asked.redirect(error="access_denied")
    if asked.client_id is None or asked.account_id is None:
        return _expired(request)
    code = sandbox.tokens.issue_code(
        client_id=asked.client_id,
        redirect_uri=asked.redirect_uri,
        account_id=asked.account_id,
        scopes=asked.scopes,
    )
    return asked.redirect(code=code)


def _sign_in_page(
    request: Request, sandbox: Sandbox, asked: AuthorizationRequest, browser: str
) -> Response:
    # The present cookie, so that sign-ins in two tabs both work, or a new one.
    if not _COOKIE_VALUE.fullmatch(browser):
        browser = secrets.token_urlsafe(32)
    token = asked.encode(sandbox, browser)
    client = CLIENTS[asked.client_id].name if asked.client_id else None
    response = _page(
        request, "sign_in.html", asked, request_token=token, providers=_PROVIDERS, client=client
    )
    # Lax, since a sign-in may start from a link on another site. All forms are on the sandbox's own
    # pages.
    response.set_cookie(BROWSER_COOKIE, browser, httponly=True, samesite="lax")
    return response


def _page(
    request: Request,
    template: str,
    asked: AuthorizationRequest | None,
    *,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """Return a page in the browser's language, whose headers forbid scripts, resources, referrers,
    and framing.
    """
    back_to = _origin(asked.redirect_uri) if asked is not None else None
    # Chromium checks form-action for redirects after a form, too, so it must contain the origin of
    # the redirect_uri.
    forms = f"'self' {back_to}" if back_to else "'none'"
    headers = {
        "Content-Security-Policy": pages.policy(forms),
        "Vary": "Accept-Language, Accept, Cookie",
    }
    language = pages.preferred_language(request)
    return pages.render(
        f"sign_in/{template}",
        language=language,
        status=status,
        headers=headers,
        back_to=back_to,
        **values,
    )


def _origin(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


def _error(request: Request, code: str, message: str, reason: str) -> HTMLResponse:
    """Return the page of an error that is not sent to a redirect_uri; raise it if the client does
    not accept HTML.
    """
    error = auth_error(400, code, message, reason)
    if "text/html" not in request.headers.get("accept", ""):
        raise error
    return _page(
        request, "stopped.html", None, status=error.status, error=error_body(error)["error"]
    )


def _expired(request: Request) -> Response:
    reason = "It has expired or was started in another browser; start again"
    return _error(request, "sign_in_expired", "This sign-in can't continue", reason)
