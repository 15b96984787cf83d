"""`/_sandbox/play`: the page on which a person plays the callee, by the endpoints of `play_endpoints`."""

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, Response

from kallyai_mcp.sandbox import page_rendering
from kallyai_mcp.sandbox.local_access import only_from_this_machine
from kallyai_mcp.sandbox.page_rendering import PageLanguage

router = APIRouter(include_in_schema=False, dependencies=[Depends(only_from_this_machine)])


@router.get("/_sandbox/play")
async def play_page(language: PageLanguage) -> HTMLResponse:
    """Serve the page in the browser's language."""
    policy = page_rendering.HEADERS["Content-Security-Policy"] + "; script-src 'self'; connect-src 'self'"
    return page_rendering.render("play.html", language=language, headers={"Content-Security-Policy": policy})


@router.get("/_sandbox/play.js")
async def script() -> Response:
    """Serve the script of the page."""
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return Response(page_rendering.read("play.js"), media_type="text/javascript", headers=headers)
