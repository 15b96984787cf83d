"""The texts of the pages, in English and Spanish."""

from collections.abc import Mapping
from datetime import date
from typing import Literal

from kallyai_mcp.languages import Language

Problem = Literal["client", "redirect", "request", "elsewhere", "busy", "forged"]
"""Why a sign-in can't go on: a key of `TEXTS`, whose explanation has `_text` after it."""

SCOPES: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "calls:write": "Make phone calls for you; they use your minutes",
        "calls:read": "See your calls and how they went",
        "transcripts:read": "Read what was said in your calls",
        "recordings:read": "Listen to recordings of your calls",
        "subscription:read": "See your plan and the minutes you have left",
        "billing:manage": "Open your billing page, where the plan is changed",
        "sessions:read": "See your sessions",
        "sessions:write": "Change your sessions",
    },
    "es": {
        "calls:write": "Hacer llamadas en tu nombre; consumen minutos",
        "calls:read": "Ver tus llamadas y cómo fueron",
        "transcripts:read": "Leer lo que se dijo en tus llamadas",
        "recordings:read": "Escuchar grabaciones de tus llamadas",
        "subscription:read": "Ver tu plan y los minutos que te quedan",
        "billing:manage": "Abrir tu página de facturación, donde se cambia el plan",
        "sessions:read": "Ver tus sesiones",
        "sessions:write": "Cambiar tus sesiones",
    },
}

TEXTS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "connect": "Connect {client} to your KallyAI account?",
        "quoted": "“{name}”",
        "unnamed": "an app without a name",
        "unchecked": "The app calls itself that. Nobody has checked the name.",
        "publisher": "Published by",
        "sent_web": "You will be sent to",
        "sent_here": "You will be sent to a program on this computer",
        "sent_app": "You will be sent to an app on this device",
        "full": "Full address",
        "may": "It will be able to",
        "unsure": "Cancel if you did not start this yourself just now, or if you do not know that address.",
        "next": "Next you sign in at {host}. The app never sees your password.",
        "later": "You can disconnect it here at any time.",
        "allow": "Allow",
        "cancel": "Cancel",
        "to_kallyai": "Continue to KallyAI",
        "to_client": "Back to the app",
        "forward_text": "If nothing happens, follow this link:",
        "may_close": "You can close this window when the app has opened.",
        "sign_out": "Disconnect apps",
        "connected": "These apps were connected to a KallyAI account in this browser:",
        "none": "No app was connected in this browser, or it has been disconnected.",
        "since": "since {day}",
        "sign_out_text": "When you disconnect them, they lose access here at once. You stay signed in at KallyAI, "
        "and calls in progress go on.",
        "disconnect": "Disconnect all",
        "gone": "Disconnected",
        "gone_text": "These apps can no longer use your KallyAI account through this server.",
        "go_back": "Go back to {name}",
        "client": "This app can't be connected",
        "redirect": "This app can't be connected",
        "redirect_text": "It wants to send you to an address that is not its own. If you followed a link, it may be "
        "an attempt to trick you. Nothing was allowed.",
        "request": "Invalid request",
        "request_text": "The app sent a request that can't be answered. Nothing was allowed.",
        "elsewhere": "Another browser, or time is up",
        "elsewhere_text": "This sign-in was started in another browser, has ended, or took too long. Nothing "
        "was allowed. Go back to the app and connect again.",
        "busy": "Not available right now",
        "busy_text": "There were too many attempts, or KallyAI can't be reached. Wait a minute, then try again.",
        "forged": "Action not allowed",
        "forged_text": "This was sent from another website, or the page was open too long. Nothing was changed.",
    },
    "es": {
        "connect": "¿Conectar {client} a tu cuenta de KallyAI?",
        "quoted": "«{name}»",
        "unnamed": "una aplicación sin nombre",
        "unchecked": "La aplicación dice llamarse así. Nadie lo comprobó.",
        "publisher": "Publicada por",
        "sent_web": "Se te enviará a",
        "sent_here": "Se te enviará a un programa en este equipo",
        "sent_app": "Se te enviará a una aplicación de este dispositivo",
        "full": "Dirección completa",
        "may": "Podrá",
        "unsure": "Cancela si no empezaste esto tú ahora mismo o si no conoces esa dirección.",
        "next": "Después inicias sesión en {host}. La aplicación nunca ve tu contraseña.",
        "later": "Puedes desconectarla aquí cuando quieras.",
        "allow": "Permitir",
        "cancel": "Cancelar",
        "to_kallyai": "Continuar en KallyAI",
        "to_client": "Volver a la aplicación",
        "forward_text": "Si no ocurre nada, sigue este enlace:",
        "may_close": "Puedes cerrar esta ventana cuando se haya abierto la aplicación.",
        "sign_out": "Desconectar aplicaciones",
        "connected": "Estas aplicaciones se conectaron a una cuenta de KallyAI en este navegador:",
        "none": "No se conectó ninguna aplicación en este navegador, o ya se desconectó.",
        "since": "desde el {day}",
        "sign_out_text": "Al desconectarlas, su acceso aquí termina al momento. No se cierra tu sesión en KallyAI,"
        " y las llamadas en curso continúan.",
        "disconnect": "Desconectar todas",
        "gone": "Desconectadas",
        "gone_text": "Estas aplicaciones ya no pueden usar tu cuenta de KallyAI a través de este servidor.",
        "go_back": "Volver a {name}",
        "client": "No se puede conectar esta aplicación",
        "redirect": "No se puede conectar esta aplicación",
        "redirect_text": "Quiere enviarte a una dirección que no es la suya. Si seguiste un enlace, puede que "
        "alguien intente engañarte. No se permitió nada.",
        "request": "Solicitud no válida",
        "request_text": "La aplicación envió una solicitud que no se puede responder. No se permitió nada.",
        "elsewhere": "Otro navegador o tiempo agotado",
        "elsewhere_text": "Este inicio de sesión empezó en otro navegador, terminó o tardó demasiado. No se "
        "permitió nada. Vuelve a la aplicación y conecta de nuevo.",
        "busy": "No disponible por ahora",
        "busy_text": "Hubo demasiados intentos o no se puede conectar con KallyAI. Espera un minuto e "
        "inténtalo de nuevo.",
        "forged": "Acción no permitida",
        "forged_text": "Esto se envió desde otro sitio web o la página estuvo abierta demasiado tiempo. No se "
        "cambió nada.",
    },
}

_SPANISH_MONTHS = (
    *("enero", "febrero", "marzo", "abril", "mayo", "junio"),
    *("julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
)


def date_in_words(day: date, lang: Language) -> str:
    """`day` as "November 24, 2026" or "24 de noviembre de 2026"."""
    if lang == "es":
        return f"{day.day} de {_SPANISH_MONTHS[day.month - 1]} de {day.year}"
    return f"{day:%B} {day.day}, {day.year}"
