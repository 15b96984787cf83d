"""The texts of the sign-in pages in English and Spanish. English texts of accounts and scopes are in `accounts`."""

from dataclasses import dataclass, field
from typing import Literal

from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES

Language = Literal["en", "es"]


@dataclass(frozen=True)
class Text:
    """The texts of one language. The templates insert values at the braces, then escape the result."""

    sandbox: str
    notice: str
    sign_in: str
    program_asks: str
    client_asks: str
    go_back_to: str
    continue_with: str
    cancel: str
    choose: str
    choose_lead: str
    consent: str
    consent_lead: str
    allow: str
    deny: str
    stopped: str
    stopped_hint: str
    details: str
    code: str
    correlation_id: str
    errors: dict[str, str] = field(repr=False)
    accounts: dict[str, str] = field(repr=False)
    scopes: dict[str, str] = field(repr=False)


TEXTS: dict[Language, Text] = {
    "en": Text(
        sandbox="Sandbox",
        notice="This is the KallyAI sandbox on your own machine. It uses no real Google or Apple account, asks for no"
        " password, and places no real phone call.",
        sign_in="Sign in to KallyAI",
        program_asks="A program on this computer asks to use a KallyAI account.",
        client_asks="{client} asks to use a KallyAI account.",
        go_back_to="Then you go back to {origin}",
        continue_with="Continue with {provider}",
        cancel="Cancel",
        choose="Choose an account",
        choose_lead="These sandbox accounts replace those of {provider}. Each shows another state of an account.",
        consent="Allow {client}?",
        consent_lead="{client} would like to do this as {email}:",
        allow="Allow",
        deny="Deny",
        stopped="This sign-in can't continue",
        stopped_hint="Nothing was allowed. Go back to the program that sent you here and start again.",
        details="Details",
        code="Error",
        correlation_id="Correlation id",
        errors={
            "invalid_redirect_uri": "This program may not use the address to go back to.",
            "invalid_client": "The program that sent you here is unknown.",
            "invalid_request": "The request is not valid.",
            "validation_error": "The request is not valid.",
            "sign_in_expired": "This page is too old, or was opened in another browser.",
        },
        accounts={account.id: account.description for account in ACCOUNTS.values()},
        scopes=SCOPES,
    ),
    "es": Text(
        sandbox="Entorno de pruebas",
        notice="Este es el entorno de pruebas de KallyAI en tu propio equipo. No se usa ninguna cuenta real"
        " de Google ni de Apple, no se pide ninguna contraseña y no se hace ninguna llamada real.",
        sign_in="Inicia sesión en KallyAI",
        program_asks="Un programa de este equipo pide usar una cuenta de KallyAI.",
        client_asks="{client} pide usar una cuenta de KallyAI.",
        go_back_to="Después vuelves a {origin}",
        continue_with="Continuar con {provider}",
        cancel="Cancelar",
        choose="Elige una cuenta",
        choose_lead="Estas cuentas de prueba sustituyen a las de {provider}. Cada una muestra otra situación posible.",
        consent="¿Permitir el acceso a {client}?",
        consent_lead="{client} quiere hacer lo siguiente como {email}:",
        allow="Permitir",
        deny="Denegar",
        stopped="No se puede continuar",
        stopped_hint="No se permitió nada. Vuelve al programa que te trajo aquí y empieza de nuevo.",
        details="Detalle",
        code="Error",
        correlation_id="Identificador",
        errors={
            "invalid_redirect_uri": "Este programa no puede usar la dirección de vuelta indicada.",
            "invalid_client": "No se conoce el programa que te trajo aquí.",
            "invalid_request": "La solicitud no es válida.",
            "validation_error": "La solicitud no es válida.",
            "sign_in_expired": "Esta página caducó o se abrió en otro navegador.",
        },
        accounts={
            "acct-personal": "Un plan personal con minutos de sobra",
            "acct-business": "Un plan de empresa con minutos y llamadas de sobra",
            "acct-trial": "Una prueba a la que le quedan pocos minutos",
            "acct-empty": "Una prueba agotada: cada llamada se rechaza con 402",
            "acct-us-only": "Solo puede llamar a Estados Unidos y Canadá",
        },
        scopes={
            "calls:read": "Leer el historial y los detalles de las llamadas",
            "calls:write": "Hacer llamadas telefónicas",
            "sessions:read": "Leer el estado de la sesión",
            "sessions:write": "Actualizar el estado de la sesión",
            "subscription:read": "Leer el estado de la suscripción",
            "billing:manage": "Acceder al portal de facturación",
            "transcripts:read": "Leer las transcripciones de las llamadas",
            "recordings:read": "Acceder a las grabaciones de las llamadas",
        },
    ),
}


def preferred_language(accept_language: str | None) -> Language:
    """Return the pages' language for an `Accept-Language` header (RFC 9110, section 12.5.4); English by default."""
    best: Language = "en"
    best_weight = 0.0
    for choice in (accept_language or "").split(","):
        tag, _, weight = choice.partition(";")
        language = tag.strip().lower().split("-")[0]
        q = _weight(weight)
        if q > best_weight:
            if language == "en":
                best, best_weight = "en", q
            elif language == "es":
                best, best_weight = "es", q
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(float(value), 1.0)
    except ValueError:
        return 0.0
