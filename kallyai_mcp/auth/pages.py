"""The page that a browser shows at the end of a sign-in on this machine: fixed texts, in English or Spanish."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "es"]
Kind = Literal["done", "failed", "wrong", "used", "late", "missing", "method", "host"]

_TEXTS: dict[Language, dict[Kind, tuple[str, str]]] = {
    "en": {
        "done": (
            "All done",
            "Your sign-in has arrived. You can close this window and go back to where you were.",
        ),
        "failed": (
            "Not signed in",
            "The sign-in was cancelled or refused, and nothing was kept. To try again, go back to where you were and "
            "ask for a new link.",
        ),
        "wrong": (
            "This isn't your sign-in",
            "This address doesn't belong to the sign-in that is waiting here. Open the link you were given and sign in "
            "there; it still works.",
        ),
        "used": (
            "Already answered",
            "This sign-in is over. You can close this window and go back to where you were.",
        ),
        "late": (
            "Too late",
            "The time for this sign-in is over, and nothing was kept. Go back to where you were and ask for a new "
            "link.",
        ),
        "missing": ("Nothing here", "There is no such page. To sign in, open the link you were given."),
        "method": ("Not like that", "This page can only be opened, not sent to."),
        "host": ("Wrong address", "This page only answers at its own address on this computer."),
    },
    "es": {
        "done": (
            "Todo listo",
            "Tu inicio de sesión ha llegado. Puedes cerrar esta ventana y volver a donde estabas.",
        ),
        "failed": (
            "Sesión no iniciada",
            "El inicio de sesión se canceló o se rechazó y no se ha guardado nada. Para intentarlo de nuevo, vuelve a "
            "donde estabas y pide un enlace nuevo.",
        ),
        "wrong": (
            "Este no es tu inicio de sesión",
            "Esta dirección no corresponde al inicio de sesión que está en espera. Abre el enlace que recibiste e "
            "inicia sesión allí; sigue siendo válido.",
        ),
        "used": (
            "Ya se ha respondido",
            "Este inicio de sesión ha terminado. Puedes cerrar esta ventana y volver a donde estabas.",
        ),
        "late": (
            "Demasiado tarde",
            "El tiempo para iniciar sesión ha terminado y no se ha guardado nada. Vuelve a donde estabas y pide un "
            "enlace nuevo.",
        ),
        "missing": ("Aquí no hay nada", "Esta página no existe. Para iniciar sesión, abre el enlace que recibiste."),
        "method": ("Así no", "Esta página solo se puede abrir; no acepta envíos."),
        "host": ("Dirección equivocada", "Esta página solo responde en su propia dirección en este equipo."),
    },
}

_STYLE = """
:root{color-scheme:light dark;--page:#f2f4f8;--card:#fff;--ink:#16202e;--soft:#55627a;--line:#dfe4ec;
--good:#0b7a4b;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--page:#0e131b;--card:#171e29;--ink:#eef2f8;--soft:#a5b1c4;--line:#2a3444;
--good:#4fd39a;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;min-height:100dvh;display:grid;place-items:center;padding:1.5rem;
background:var(--page);color:var(--ink);
font:1.0625rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{width:100%;max-width:27rem;padding:2.75rem 2.25rem 2.25rem;background:var(--card);
border:1px solid var(--line);border-radius:1.25rem;text-align:center;
box-shadow:0 1px 2px rgb(15 23 42/.05),0 18px 44px -16px rgb(15 23 42/.18)}
svg{width:4.25rem;height:4.25rem;color:var(--bad)}
.done svg{color:var(--good)}
.used svg{color:var(--soft)}
h1{margin:1.25rem 0 .625rem;font-size:1.625rem;line-height:1.2;letter-spacing:-.015em;text-wrap:balance}
p{margin:0;color:var(--soft);text-wrap:pretty}
footer{margin-top:2rem;padding-top:1.125rem;border-top:1px solid var(--line);color:var(--soft);font-size:.875rem}
@media(max-width:30rem){body{padding:1rem}main{padding:2.25rem 1.5rem 1.75rem}h1{font-size:1.4375rem}}
"""

_DISC = '<circle cx="34" cy="34" r="32" fill="currentColor" fill-opacity=".12"/>'
_STROKE = 'fill="none" stroke="currentColor" stroke-width="5" stroke-linecap="round" stroke-linejoin="round"'
_TICK = f'{_DISC}<path d="M21 35.5 30 44.5 47.5 25" {_STROKE}/>'
_NOTE = f'{_DISC}<path d="M34 20v17M34 47.5v.01" {_STROKE}/>'

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every reply: no address with tokens is stored, sent as a referrer, or framed, and nothing is loaded."""


def language(accepted: str) -> Language:
    """`es` if the Accept-Language header `accepted` prefers Spanish to English, else `en`."""
    weights = {"en": 0.0, "es": 0.0}
    for part in accepted.lower().split(","):
        tag, _, weight = part.partition(";")
        name = tag.strip().partition("-")[0]
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if name in weights:
            weights[name] = max(weights[name], quality)
    return "es" if weights["es"] > weights["en"] else "en"


def page(kind: Kind, accepted: str) -> bytes:
    """The page of that kind as UTF-8, in the language that the Accept-Language header `accepted` prefers."""
    lang = language(accepted)
    heading, text = _TEXTS[lang][kind]
    drawing = _TICK if kind == "done" else _NOTE
    return (
        f'<!doctype html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">\n<title>{heading} | KallyAI</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f'<style>{_STYLE}</style>\n</head>\n<body>\n<main class="{kind}">\n'
        f'<svg viewBox="0 0 68 68" aria-hidden="true">{drawing}</svg>\n'
        f"<h1>{heading}</h1>\n<p>{text}</p>\n<footer>kallyai-mcp</footer>\n</main>\n</body>\n</html>\n"
    ).encode()
