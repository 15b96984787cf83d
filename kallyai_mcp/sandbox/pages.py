"""The sandbox's home page, the page on which a person plays the callee, their style sheet, and their script."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from kallyai_mcp.sandbox import page_rendering
from kallyai_mcp.sandbox.accounts import ACCOUNTS
from kallyai_mcp.sandbox.local_access import only_from_this_machine
from kallyai_mcp.sandbox.page_rendering import PageLanguage
from kallyai_mcp.sandbox.simulator.numbers import as_rows

router = APIRouter(include_in_schema=False)
_NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}


@router.get("/")
async def home_page(request: Request, language: PageLanguage) -> HTMLResponse:
    """Show the sandbox's URL, the accounts, and the test numbers."""
    return page_rendering.render(
        "index.html",
        language=language,
        base_url=str(request.base_url),
        numbers=as_rows(language),
        accounts=ACCOUNTS.values(),
    )


@router.get("/_sandbox/play", dependencies=[Depends(only_from_this_machine)])
async def play_page(language: PageLanguage) -> HTMLResponse:
    """Serve the page in the browser's language."""
    policy = page_rendering.HEADERS["Content-Security-Policy"] + "; script-src 'self'; connect-src 'self'"
    return page_rendering.render("play.html", language=language, headers={"Content-Security-Policy": policy})


@router.get("/_sandbox/play.js", dependencies=[Depends(only_from_this_machine)])
async def script() -> Response:
    """Serve the script of the page."""
    headers = {**_NO_SNIFFING, "Cache-Control": "no-store"}
    return Response(page_rendering.read("play.js"), media_type="text/javascript", headers=headers)


@router.get("/_sandbox/style.css")
async def style() -> Response:
    """Serve the style sheet of the pages."""
    css = page_rendering.read("tokens.css") + page_rendering.read("style.css")
    return Response(css, media_type="text/css", headers=_NO_SNIFFING)
