"""The page that a browser shows at the end of a sign-in on this machine, in English or Spanish."""

from collections.abc import Mapping
from html import escape
from typing import Literal

from kallyai_mcp.auth.page_layout import document, page_headers
from kallyai_mcp.languages import Language, page_language

Kind = Literal["done", "failed", "wrong", "used", "late", "missing", "method", "host"]
Origin = Literal["chat", "terminal"]
"""Where the user has come from, and goes back to."""

HEADERS: Mapping[str, str] = {**page_headers(), "Cross-Origin-Opener-Policy": "same-origin"}
"""The headers of every reply."""

_TEXTS: dict[Language, dict[Kind, tuple[str, str]]] = {
    "en": {
        "done": ("Sign-in received", "{next} You can close this window."),
        "failed": (
            "Not signed in",
            "The sign-in was canceled or refused. Nothing was saved. To try again, go back to {place} and {again}.",
        ),
        "wrong": (
            "This isn't your sign-in",
            "This address does not belong to the sign-in that is waiting here. Open the link that you got and sign in "
            "there; it still works.",
        ),
        "used": ("Already received", "This sign-in has ended. You can close this window and go back to {place}."),
        "late": (
            "Time is up",
            "The time for this sign-in is over. Nothing was saved. Go back to {place} and {again}.",
        ),
        "missing": ("Page not found", "There is no such page. To sign in, open the link that you got."),
        "method": ("Action not allowed", "This page can only be opened; nothing can be sent to it."),
        "host": ("Wrong address", "This page answers only at its own address on this computer."),
    },
    "es": {
        "done": ("Hemos recibido tu inicio de sesión", "{next} Puedes cerrar esta ventana."),
        "failed": (
            "Sesión no iniciada",
            "El inicio de sesión se canceló o se rechazó. No se guardó nada. Para intentarlo de nuevo, vuelve {place} "
            "y {again}.",
        ),
        "wrong": (
            "Este no es tu inicio de sesión",
            "Esta dirección no corresponde al inicio de sesión que está en espera. Abre el enlace que recibiste e "
            "inicia sesión allí; sigue siendo válido.",
        ),
        "used": ("Ya se recibió", "Este inicio de sesión ya terminó. Puedes cerrar esta ventana y volver {place}."),
        "late": (
            "Se acabó el tiempo",
            "Se acabó el tiempo para iniciar sesión. No se guardó nada. Vuelve {place} y {again}.",
        ),
        "missing": (
            "No se encontró la página",
            "Esta página no existe. Para iniciar sesión, abre el enlace que recibiste.",
        ),
        "method": ("Acción no permitida", "Esta página solo se puede abrir; no acepta envíos."),
        "host": ("Dirección equivocada", "Esta página solo responde en su propia dirección en este equipo."),
    },
}

_PLACES: dict[Language, dict[Origin, dict[str, str]]] = {
    "en": {
        "chat": {
            "next": "Go back to your chat and ask for the call again, if it doesn't go on by itself.",
            "place": "your chat",
            "again": "ask for a new link",
        },
        "terminal": {
            "next": "Go back to the terminal; it goes on by itself.",
            "place": "the terminal",
            "again": "run kallyai-mcp login again",
        },
    },
    "es": {
        "chat": {
            "next": "Vuelve a tu chat y pide la llamada otra vez si no continúa por sí solo.",
            "place": "a tu chat",
            "again": "pide un enlace nuevo",
        },
        "terminal": {
            "next": "Vuelve a la terminal; continúa por sí sola.",
            "place": "a la terminal",
            "again": "ejecuta kallyai-mcp login otra vez",
        },
    },
}

_DISC = '<circle cx="34" cy="34" r="34" fill="currentColor"/>'
_STROKE = 'fill="none" stroke-width="5.5" stroke-linecap="round" stroke-linejoin="round"'
_TICK = f'{_DISC}<path d="M21 35.5 30 44.5 47.5 25" {_STROKE}/>'
_NOTE = f'{_DISC}<path d="M34 20v17M34 47.5v.01" {_STROKE}/>'


def page(kind: Kind, accepted: str, *, place: Origin = "chat", who: str | None = None) -> bytes:
    """The page as UTF-8, in the language that the Accept-Language header prefers.

    Args:
        kind: What it says.
        accepted: The header.
        place: Where the user has come from.
        who: Whose sign-in was received, as far as the token says.
    """
    lang = page_language(accepted)
    heading, text = _TEXTS[lang][kind]
    sign = (
        f'<svg class="sign {kind}" viewBox="0 0 68 68" aria-hidden="true">{_TICK if kind == "done" else _NOTE}</svg>\n'
    )
    name = f'<p class="who"><bdi>{escape(who)}</bdi></p>' if who and kind == "done" else ""
    return document(lang, heading, f"{name}<p>{text.format(**_PLACES[lang][place])}</p>", above=sign).encode()
