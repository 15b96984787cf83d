"""The sign-in in a browser: `/v1/auth/cli`, `/v1/auth/authorize`, and the pages up to the redirect.

    cli ──────┐                                ┌─ cli: redirect with tokens
              ├─ sign in ── choose an account ─┤
    authorize ┘                                └─ authorize: consent ── redirect with a code

Every page has a button to cancel: redirect with `error=access_denied`.
"""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Cookie, Form, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute

from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES, Provider, scopes_in
from kallyai_mcp.sandbox.auth.authorization_codes import issue_code
from kallyai_mcp.sandbox.auth.authorization_request import (
    BROWSER_COOKIE,
    AuthorizationRequest,
    decode_request,
    encode_request,
    new_browser,
)
from kallyai_mcp.sandbox.auth.clients import CLIENTS, is_cli_redirect
from kallyai_mcp.sandbox.auth.pages import error_page, page
from kallyai_mcp.sandbox.auth.responses import NO_STORE, documented_page, no_store
from kallyai_mcp.sandbox.auth.token_responses import issue_tokens
from kallyai_mcp.sandbox.errors import validation_reason
from kallyai_mcp.sandbox.page_rendering import preferred_language
from kallyai_mcp.sandbox.state import Sandbox, SandboxDep


class _PageRoute(APIRoute):
    """A route that answers an invalid request of a browser with a page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_validation_error(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                return error_page(request, "validation_error", "The request is not valid", validation_reason(error))

        return handle_validation_error


router = APIRouter(tags=["Authentication"], route_class=_PageRoute, dependencies=[no_store])

_PROVIDERS: dict[Provider, str] = {"google": "Google", "apple": "Apple"}

State = Annotated[str | None, Query(max_length=2048, description="Returned in the redirect unchanged.")]
RedirectUri = Annotated[str, Query(max_length=2048)]
BrowserCookie = Annotated[str | None, Cookie(alias=BROWSER_COOKIE, include_in_schema=False)]
RequestToken = Annotated[str, Query(alias="request")]
RequestTokenField = Annotated[str, Form(alias="request")]


@router.get(
    "/v1/auth/cli",
    summary="CLI sign-in: the page to open in a browser",
    response_class=HTMLResponse,
    responses=documented_page("`redirect_uri` is missing, or is not a loopback URL; there is no redirect"),
)
def cli(
    request: Request, sandbox: SandboxDep, redirect_uri: RedirectUri, state: State = None, browser: BrowserCookie = None
) -> Response:
    """Sign a terminal program in ("CLI Authentication" of the reference).

    Ends at `redirect_uri?access_token=…&refresh_token=…&expires_in=3600&state=…`, or at
    `redirect_uri?error=access_denied&state=…`. `redirect_uri` must be `http://localhost:PORT` or
    `http://127.0.0.1:PORT`.
    """
    if _repeats_a_parameter(request):
        return error_page(request, "invalid_request", "A parameter is given twice")
    if not is_cli_redirect(redirect_uri):
        message = "redirect_uri must be http://localhost:PORT or http://127.0.0.1:PORT"
        return error_page(request, "invalid_redirect_uri", message)
    return _sign_in_page(request, sandbox, AuthorizationRequest(redirect_uri, state), browser)


@router.get(
    "/v1/auth/authorize",
    summary="OAuth2 authorization: the page to open in a browser",
    response_class=HTMLResponse,
    responses={
        303: {"description": "Back to `redirect_uri` with `error` (RFC 6749, section 4.1.2.1)"},
        **documented_page("`client_id` is unknown, or `redirect_uri` is not registered for it; there is no redirect"),
    },
)
def authorize(
    request: Request,
    sandbox: SandboxDep,
    client_id: Annotated[str, Query(description="`sandbox-client` or `sandbox-partner`.")],
    redirect_uri: RedirectUri,
    response_type: Annotated[str | None, Query(description="Must be `code`.")] = None,
    state: State = None,
    scope: Annotated[str | None, Query(description="Space-separated scopes; left out: all of them.")] = None,
    browser: BrowserCookie = None,
) -> Response:
    """Ask the user to authorize an OAuth client ("OAuth2 Authorization Code Flow" of the reference).

    Ends at `redirect_uri?code=…&state=…`, or at `redirect_uri?error=…&state=…`. The code is valid for 60 seconds.
    """
    if _repeats_a_parameter(request):
        return error_page(request, "invalid_request", "A parameter is given twice")
    client = CLIENTS.get(client_id)
    if client is None:
        return error_page(request, "invalid_client", "client_id is not known")
    if not client.may_redirect_to(redirect_uri):
        message = "redirect_uri is not one that this client has registered"
        return error_page(request, "invalid_redirect_uri", message)
    authorization = AuthorizationRequest(redirect_uri, state, client.id)
    if response_type is None:
        return _redirect_back(authorization, error="invalid_request", error_description="response_type is missing")
    if response_type != "code":
        return _redirect_back(
            authorization, error="unsupported_response_type", error_description="response_type must be code"
        )
    scopes = tuple(dict.fromkeys(scope.split())) if scope and scope.strip() else tuple(SCOPES)
    if any(one not in SCOPES for one in scopes):
        return _redirect_back(
            authorization, error="invalid_scope", error_description=f"the scopes are {' '.join(SCOPES)}"
        )
    return _sign_in_page(request, sandbox, AuthorizationRequest(redirect_uri, state, client.id, scopes), browser)


@router.get("/v1/auth/sign-in", include_in_schema=False)
def account_page(
    request: Request,
    sandbox: SandboxDep,
    request_token: RequestToken,
    provider: Provider,
    browser: BrowserCookie = None,
) -> Response:
    """Show the accounts to choose from."""
    authorization = decode_request(sandbox, request_token, browser)
    if authorization is None:
        return _expired(request)
    return page(
        request,
        "choose.html",
        back_to=authorization.origin,
        request_token=request_token,
        provider=_PROVIDERS[provider],
        accounts=ACCOUNTS.values(),
    )


@router.post("/v1/auth/sign-in", include_in_schema=False)
def sign_in(
    request: Request,
    sandbox: SandboxDep,
    request_token: RequestTokenField,
    account: Annotated[str, Form()],
    browser: BrowserCookie = None,
) -> Response:
    """Take the chosen account: redirect the CLI flow to its program, and an OAuth client's flow to the consent page."""
    authorization = decode_request(sandbox, request_token, browser)
    if authorization is None or browser is None:
        return _expired(request)
    if account not in ACCOUNTS:
        return error_page(request, "invalid_request", "There is no such account")
    if authorization.client_id is None:
        tokens = issue_tokens(sandbox, account)
        return _redirect_back(
            authorization, **{name: tokens[name] for name in ("access_token", "refresh_token", "expires_in")}
        )
    request_token = encode_request(sandbox, replace(authorization, account_id=account), browser)
    return RedirectResponse(f"consent?request={request_token}", 303, NO_STORE)


@router.get("/v1/auth/consent", include_in_schema=False)
def consent_page(
    request: Request, sandbox: SandboxDep, request_token: RequestToken, browser: BrowserCookie = None
) -> Response:
    """Show the scopes that the client asks for, to allow or deny."""
    authorization = decode_request(sandbox, request_token, browser)
    if authorization is None or authorization.client_id is None or authorization.account_id is None:
        return _expired(request)
    scopes = scopes_in(preferred_language(request))
    return page(
        request,
        "consent.html",
        back_to=authorization.origin,
        request_token=request_token,
        client=CLIENTS[authorization.client_id].name,
        email=ACCOUNTS[authorization.account_id].email,
        scopes={scope: scopes[scope] for scope in authorization.scopes},
    )


@router.post("/v1/auth/consent", include_in_schema=False)
def consent(
    request: Request,
    sandbox: SandboxDep,
    request_token: RequestTokenField,
    decision: Annotated[Literal["allow", "deny"], Form()],
    browser: BrowserCookie = None,
) -> Response:
    """Take the decision. "deny" is accepted from every page, "allow" from the consent page only."""
    authorization = decode_request(sandbox, request_token, browser)
    if authorization is None:
        return _expired(request)
    if decision == "deny":
        return _redirect_back(authorization, error="access_denied")
    if authorization.client_id is None or authorization.account_id is None:
        return _expired(request)
    code = issue_code(
        sandbox,
        client_id=authorization.client_id,
        redirect_uri=authorization.redirect_uri,
        account_id=authorization.account_id,
        scopes=authorization.scopes,
    )
    return _redirect_back(authorization, code=code)


def _sign_in_page(
    request: Request, sandbox: Sandbox, authorization: AuthorizationRequest, cookie: str | None
) -> Response:
    browser = new_browser(cookie)
    response = page(
        request,
        "sign_in.html",
        back_to=authorization.origin,
        request_token=encode_request(sandbox, authorization, browser),
        providers=_PROVIDERS,
        client=CLIENTS[authorization.client_id].name if authorization.client_id else None,
    )
    # Lax, since a sign-in may start from a link on another site. All forms are on the sandbox's own pages.
    response.set_cookie(BROWSER_COOKIE, browser, httponly=True, samesite="lax")
    return response


def _redirect_back(authorization: AuthorizationRequest, **parameters: str | int) -> Response:
    headers = NO_STORE | {"Referrer-Policy": "no-referrer"}
    return RedirectResponse(authorization.redirect_url(**parameters), 303, headers)


def _expired(request: Request) -> Response:
    message = "This sign-in has expired or was started in another browser; start again"
    return error_page(request, "sign_in_expired", message)


def _repeats_a_parameter(request: Request) -> bool:
    return len(request.query_params.multi_items()) != len(request.query_params)
