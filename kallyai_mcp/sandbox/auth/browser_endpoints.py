"""What a browser visits: `/v1/auth/cli`, `/v1/auth/authorize`, and the pages between them and the way back.

    cli ──────┐                                       ┌─ cli: tokens in the redirect
              ├─ sign in ── choose an account ────────┤
    authorize ┘                                       └─ authorize: consent ── code in the redirect

Every step can be cancelled: `error=access_denied` in the redirect.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Cookie, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES, Provider
from kallyai_mcp.sandbox.auth.authorization_codes import issue_code
from kallyai_mcp.sandbox.auth.authorization_request import (
    BROWSER_COOKIE,
    AuthorizationRequest,
    new_browser,
    seal,
    unseal,
)
from kallyai_mcp.sandbox.auth.clients import CLIENTS, is_cli_redirect
from kallyai_mcp.sandbox.auth.context import NO_STORE, Sandbox, SandboxState, documented_page, refusal
from kallyai_mcp.sandbox.auth.pages import page, refuse
from kallyai_mcp.sandbox.auth.token_responses import issue_tokens
from kallyai_mcp.sandbox.errors import ApiError

router = APIRouter(tags=["Authentication"])

_PROVIDERS: dict[Provider, str] = {"google": "Google", "apple": "Apple"}

State = Annotated[str | None, Query(max_length=2048, description="Handed back in the redirect, as it is.")]
RedirectUri = Annotated[str, Query(max_length=2048)]
BrowserCookie = Annotated[str | None, Cookie(alias=BROWSER_COOKIE, include_in_schema=False)]
Sealed = Annotated[str, Query(alias="request")]
SealedField = Annotated[str, Form(alias="request")]


@router.get(
    "/v1/auth/cli",
    summary="CLI sign-in: the page to open in a browser",
    response_class=HTMLResponse,
    responses=documented_page("`redirect_uri` is not a loopback address; the browser is not sent there"),
)
def cli(
    request: Request, sandbox: Sandbox, redirect_uri: RedirectUri, state: State = None, browser: BrowserCookie = None
) -> Response:
    """Sign a terminal program in ("CLI Authentication" of the reference).

    Ends at `redirect_uri?access_token=…&refresh_token=…&expires_in=3600&state=…`, or at
    `redirect_uri?error=access_denied&state=…`. `redirect_uri` must be `http://localhost:PORT` or
    `http://127.0.0.1:PORT`.
    """
    if repeated := _repeated(request):
        return refuse(request, repeated)
    if not is_cli_redirect(redirect_uri):
        words = "redirect_uri must be http://localhost:PORT or http://127.0.0.1:PORT"
        return refuse(request, refusal(400, "invalid_redirect_uri", words))
    return _first_page(request, sandbox, AuthorizationRequest(redirect_uri, state), browser)


@router.get(
    "/v1/auth/authorize",
    summary="OAuth2 authorization: the page to open in a browser",
    response_class=HTMLResponse,
    responses={
        303: {"description": "Back to `redirect_uri` with `error` (RFC 6749, section 4.1.2.1)"},
        **documented_page("`client_id` is unknown or `redirect_uri` is not its own; the browser is not sent there"),
    },
)
def authorize(
    request: Request,
    sandbox: Sandbox,
    client_id: Annotated[str, Query(description="`sandbox-client` or `sandbox-partner`.")],
    redirect_uri: RedirectUri,
    response_type: Annotated[str | None, Query(description="Must be `code`.")] = None,
    state: State = None,
    scope: Annotated[str | None, Query(description="Space-separated scopes; left out: all of them.")] = None,
    browser: BrowserCookie = None,
) -> Response:
    """Ask someone to let an OAuth client in ("OAuth2 Authorization Code Flow" of the reference).

    Ends at `redirect_uri?code=…&state=…`, or at `redirect_uri?error=…&state=…`. The code is good for 60 seconds.
    """
    if repeated := _repeated(request):
        return refuse(request, repeated)
    client = CLIENTS.get(client_id)
    if client is None:
        return refuse(request, refusal(400, "invalid_client", "client_id is not known"))
    if not client.may_redirect_to(redirect_uri):
        words = "redirect_uri is not one that this client has registered"
        return refuse(request, refusal(400, "invalid_redirect_uri", words))
    asked = AuthorizationRequest(redirect_uri, state, client.id)
    if response_type is None:
        return _back(asked, error="invalid_request", error_description="response_type is missing")
    if response_type != "code":
        return _back(asked, error="unsupported_response_type", error_description="response_type must be code")
    scopes = tuple(dict.fromkeys(scope.split())) if scope and scope.strip() else tuple(SCOPES)
    if any(one not in SCOPES for one in scopes):
        return _back(asked, error="invalid_scope", error_description=f"the scopes are {' '.join(SCOPES)}")
    return _first_page(request, sandbox, AuthorizationRequest(redirect_uri, state, client.id, scopes), browser)


@router.get("/v1/auth/sign-in", include_in_schema=False)
def choose(
    request: Request, sandbox: Sandbox, sealed: Sealed, provider: Provider, browser: BrowserCookie = None
) -> Response:
    """The account chooser, behind both buttons of the first page."""
    asked = unseal(sandbox, sealed, browser)
    if asked is None:
        return _expired(request)
    return page(
        request,
        "choose.html",
        back_to=asked.origin,
        sealed=sealed,
        provider=_PROVIDERS[provider],
        accounts=ACCOUNTS.values(),
    )


@router.post("/v1/auth/sign-in", include_in_schema=False)
def sign_in(
    request: Request,
    sandbox: Sandbox,
    sealed: SealedField,
    account: Annotated[str, Form()],
    browser: BrowserCookie = None,
) -> Response:
    """An account was chosen: the CLI flow ends here, an OAuth client's goes on to its consent page."""
    asked = unseal(sandbox, sealed, browser)
    if asked is None or browser is None:
        return _expired(request)
    if account not in ACCOUNTS:
        return refuse(request, refusal(400, "invalid_request", "There is no such account"))
    if asked.client_id is None:
        tokens = issue_tokens(sandbox, account)
        return _back(asked, **{name: tokens[name] for name in ("access_token", "refresh_token", "expires_in")})
    sealed = seal(sandbox, asked.signed_in_as(account), browser)
    return RedirectResponse(f"consent?request={sealed}", 303, NO_STORE)


@router.get("/v1/auth/consent", include_in_schema=False)
def ask_consent(request: Request, sandbox: Sandbox, sealed: Sealed, browser: BrowserCookie = None) -> Response:
    """What the client would be allowed to do, for the account's owner to allow or deny."""
    asked = unseal(sandbox, sealed, browser)
    if asked is None or asked.client_id is None or asked.account_id is None:
        return _expired(request)
    return page(
        request,
        "consent.html",
        back_to=asked.origin,
        sealed=sealed,
        client=CLIENTS[asked.client_id].name,
        email=ACCOUNTS[asked.account_id].email,
        scopes=asked.scopes,
    )


@router.post("/v1/auth/consent", include_in_schema=False)
def consent(
    request: Request,
    sandbox: Sandbox,
    sealed: SealedField,
    decision: Annotated[Literal["allow", "deny"], Form()],
    browser: BrowserCookie = None,
) -> Response:
    """The decision. To deny is possible on every page, to allow only on the consent page."""
    asked = unseal(sandbox, sealed, browser)
    if asked is None:
        return _expired(request)
    if decision == "deny":
        return _back(asked, error="access_denied")
    if asked.client_id is None or asked.account_id is None:
        return _expired(request)
    code = issue_code(
        sandbox,
        client_id=asked.client_id,
        redirect_uri=asked.redirect_uri,
        account_id=asked.account_id,
        scopes=asked.scopes,
    )
    return _back(asked, code=code)


def _first_page(request: Request, sandbox: SandboxState, asked: AuthorizationRequest, cookie: str | None) -> Response:
    browser = new_browser(cookie)
    response = page(
        request,
        "sign_in.html",
        back_to=asked.origin,
        sealed=seal(sandbox, asked, browser),
        providers=_PROVIDERS,
        client=CLIENTS[asked.client_id].name if asked.client_id else None,
    )
    # Lax: a sign-in may start from a link on any site; every form after it is sent from our own pages.
    response.set_cookie(BROWSER_COOKIE, browser, httponly=True, samesite="lax")
    return response


def _back(asked: AuthorizationRequest, **parameters: str | int) -> Response:
    headers = NO_STORE | {"Referrer-Policy": "no-referrer"}
    return RedirectResponse(asked.answer(**parameters), 303, headers)


def _expired(request: Request) -> Response:
    words = "This sign-in has expired or was started in another browser; start again"
    return refuse(request, refusal(400, "sign_in_expired", words))


def _repeated(request: Request) -> ApiError | None:
    names = [name for name, _ in request.query_params.multi_items()]
    if len(names) == len(set(names)):
        return None
    return refusal(400, "invalid_request", "A parameter is given twice")
