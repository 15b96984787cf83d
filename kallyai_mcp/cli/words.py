"""The sentences of the terminal about calls, in the reader's language: those of the cards, and others of its own."""

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError, PolicyError, ServiceError
from kallyai_mcp.cards.texts import texts
from kallyai_mcp.languages import Language, localized
from kallyai_mcp.tools.text.errors import forbidden, may_have_been_placed, service_says
from kallyai_mcp.tools.text.plain import sentence

_OWN: dict[str, tuple[str, str]] = {
    "the_number": ("the number", "el número"),
    "place_it": ("Place this call?", "¿Hacer esta llamada?"),
    "schedule_it": ("Schedule this call?", "¿Programar esta llamada?"),
    "yes_or_no": ("y/N", "s/N"),
    "not_called": ("Not called.", "No se llamó."),
    "yes_needed": (
        "Not called: --yes is needed where there is no terminal to ask on.",
        "No se llamó: hace falta --yes donde no hay una terminal en la que preguntar.",
    ),
    "made_before": (
        "This call was made before. No new call was placed. To call again on purpose: --redial",
        "Esta llamada ya se hizo antes. No se hizo otra. Para volver a llamar a propósito: --redial",
    ),
    "scheduled_before": (
        "This call is scheduled already, and no other one was. To change it, cancel it first.",
        "Esta llamada ya estaba programada; no se programó otra. Para cambiarla, cancélala antes.",
    ),
    "scheduled_text": (
        "Due {when}. A kallyai-mcp server of yours must be running then: your AI app starts one, and "
        "`kallyai-mcp serve --transport http{more}` is one.",
        "Prevista: {when}. Entonces debe estar en marcha un servidor kallyai-mcp tuyo: tu aplicación de IA inicia uno, "
        "y también `kallyai-mcp serve --transport http{more}`.",
    ),
    "attempts": ("Attempt {number} of {count}. Before: {earlier}.", "Intento {number} de {count}. Antes: {earlier}."),
    "calling_now": ("Calling {callee}", "Llamando a {callee}"),
    "canceled_now": ("Canceled. Nobody was called.", "Cancelada. No se llamó a nadie."),
    "cancel_canceled": ("Canceled. No further call will be placed.", "Cancelada. No se hará ninguna llamada más."),
    "cancel_in_progress": (
        "Not canceled: the call is in progress, and can't be hung up. No further attempt will be placed.",
        "No se canceló: la llamada está en curso y no se puede colgar. No se hará ningún otro intento.",
    ),
    "cancel_unknown": (
        "Not canceled: the call may have been placed, and how it ended is not known.",
        "No se canceló: quizá se hizo la llamada, y no se sabe cómo terminó.",
    ),
    "cancel_over": ("Nothing to cancel: it is over.", "No hay nada que cancelar: ya terminó."),
    "goes_on": (
        "The call goes on without this program. To follow it:",
        "La llamada continúa sin este programa. Para seguirla:",
    ),
    "no_calls": (
        "No calls yet. `kallyai-mcp call{more}` places one.",
        "Aún no hay llamadas. `kallyai-mcp call{more}` hace una.",
    ),
    "no_more": ("No more calls.", "No hay más llamadas."),
    "not_looked_up": (
        "Whether it booked something: `kallyai-mcp show ID{more}` looks it up.",
        "Si reservó algo: `kallyai-mcp show ID{more}` lo comprueba.",
    ),
    "unconfirmed": (
        "The calendar event does not confirm this: {what}.",
        "El evento de calendario no confirma esto: {what}.",
    ),
    "more_calls": ("{shown} shown. More: {command}", "Se muestran {shown}. Más: {command}"),
    "of": ("{part} of {all}", "{part} de {all}"),
    "the_appointment": ("The appointment", "La cita"),
    "is_in": ("{what} is in {file}.", "{what} está en {file}."),
    "not_written": ("{file} can't be written: {reason}", "{file} no se puede escribir: {reason}"),
    "nobody": (
        "Not signed in. `kallyai-mcp login` signs in through the browser.",
        "No hay ninguna sesión iniciada. `kallyai-mcp login` la inicia en el navegador.",
    ),
    "signed_in": ("Signed in{who}; kept in {place}", "Sesión iniciada{who}; se guarda en {place}"),
    "embedded": (
        "KallyAI: the embedded sandbox, which calls nobody",
        "KallyAI: el entorno de pruebas incorporado, que no llama a nadie",
    ),
    "as": (" as {name}", " como {name}"),
    "token_good": ("Access token: good for {left}, until {end}", "Token de acceso: válido {left}, hasta {end}"),
    "token_ended": ("Access token: no longer good, since {end}", "Token de acceso: caducado desde {end}"),
    "renews_itself": (", then renews itself", ", después se renueva solo"),
    "now_signed_in": ("Signed in{who}.", "Sesión iniciada{who}."),
    "signed_out": ("Signed out.", "Sesión cerrada."),
    "was_nobody": ("Nobody was signed in.", "No había ninguna sesión iniciada."),
    "token_first": (
        "KALLYAI_ACCESS_TOKEN is set, and goes before any sign-in. Remove it first.",
        "KALLYAI_ACCESS_TOKEN tiene un valor, que va antes que cualquier sesión. Quítalo primero.",
    ),
    "token_is_sign_in": (
        "The sign-in is the setting KALLYAI_ACCESS_TOKEN; remove it to sign out.",
        "La sesión es el ajuste KALLYAI_ACCESS_TOKEN; quítalo para cerrarla.",
    ),
    "browser_opens": (
        "Your browser opens KallyAI's sign-in page. If it does not, open this link:\n{link}",
        "Tu navegador abre la página de inicio de sesión de KallyAI. Si no se abre, abre este enlace:\n{link}",
    ),
    "open_link": (
        "Open this link in any browser and sign in; it works for 5 minutes:\n{link}\n",
        "Abre este enlace en cualquier navegador e inicia sesión; sirve 5 minutos:\n{link}\n",
    ),
    "other_machine": (
        "If that browser runs on another machine, it ends on an address that it can't open.\n"
        "Copy that whole address (it begins with {address}) and paste it here:",
        "Si ese navegador está en otro equipo, termina en una dirección que no puede abrir.\n"
        "Copia toda esa dirección (empieza por {address}) y pégala aquí:",
    ),
    "wrong_address": (
        "That is not the right address: it has to start with {address}/? and be of this sign-in. Copy "
        "the whole address bar.",
        "Esa no es la dirección correcta: tiene que empezar por {address}/? y ser de este inicio de sesión. Copia toda "
        "la barra de direcciones.",
    ),
    "sign_in_timed_out": (
        "Nobody finished signing in before the link expired. `kallyai-mcp login` starts again.",
        "Nadie terminó de iniciar sesión antes de que caducara el enlace. `kallyai-mcp login` empieza de nuevo.",
    ),
    "sign_in_canceled": (
        "The sign-in was canceled on KallyAI's page. `kallyai-mcp login` starts again.",
        "El inicio de sesión se canceló en la página de KallyAI. `kallyai-mcp login` empieza de nuevo.",
    ),
    "sign_in_refused": (
        "KallyAI's page refused the sign-in ({reason}). `kallyai-mcp login` starts again.",
        "La página de KallyAI rechazó el inicio de sesión ({reason}). `kallyai-mcp login` empieza de nuevo.",
    ),
    "none_running": ("In progress: none", "En curso: ninguna"),
    "running": (
        "In progress, waiting for you, or with an unknown outcome:",
        "En curso, a la espera de tu decisión o con resultado desconocido:",
    ),
    "no_last": ("Last calls: none", "Últimas llamadas: ninguna"),
    "last": ("Last calls:", "Últimas llamadas:"),
}
"""The sentences that the cards don't have, in English and in Spanish."""

_YES = {"en": {"y", "yes"}, "es": {"s", "si", "sí", "y", "yes"}}


class Words:
    """The sentences in one language.

    Args:
        language: The language; None for the reader's.
    """

    def __init__(self, language: Language | None = None) -> None:
        self.spanish = (language or localized("en", "es")) == "es"
        self.language: Language = "es" if self.spanish else "en"
        self._of_cards = texts("quota", "errors", "call")[self.language]

    def say(self, key: str, **values: object) -> str:
        """The sentence with this key, with `values` for its placeholders."""
        own = _OWN.get(key)
        sentence = own[self.spanish] if own is not None else self._of_cards[key]
        return sentence.format(**values).replace(" m..", " m.")  # after "p. m.", no second period

    def has(self, key: str) -> bool:
        """Whether there is a sentence with this key."""
        return key in _OWN or key in self._of_cards

    def error(self, error: KallyAIError, *, places_calls: bool) -> str:
        """The text of an error, for a person: the card's sentence about its code, or about its kind.

        Args:
            error: The error.
            places_calls: The command should place a call, so the text says whether it was placed.
        """
        if places_calls and may_have_been_placed(error):
            return self._of_cards["unknown_text"]
        if isinstance(error, NotSignedInError) and error.status is None:
            said = self.say("nobody") if self.spanish else error.message  # both say how to sign in
        elif isinstance(error, PolicyError):
            said = forbidden(error, spanish=self.spanish)
        else:
            key = next((key for key in self._of_cards if key.startswith("error ") and error.code in key.split()), None)
            said = self._of_cards[key or ("refused_text" if places_calls else "unavailable_text")]
        said = f"{said[0].upper()}{said[1:]}"
        not_called = f"{self.say('not_called')} " if places_calls else ""
        return "\n".join(filter(None, (f"{not_called}{sentence(said)}", service_says(error, spanish=self.spanish))))

    def means_yes(self, reply: str) -> bool:
        """Whether the user's reply to the question `place_it` or `schedule_it` means yes."""
        return reply.strip().lower() in _YES[self.language]


def error_text(error: KallyAIError) -> str:
    """The text of an error, for a person. In Spanish, the error's own message, which is in English, is added to it."""
    spanish = Words("es").error(error, places_calls=False)
    if not isinstance(error, NotSignedInError | PolicyError | ServiceError):
        spanish = f"{spanish} (En inglés: {error})"
    return localized(str(error), spanish)
