"""The sentences of the demo, in English and Spanish."""

from functools import partial

from kallyai_mcp.tools.text.plain import say_from

_SENTENCES: dict[str, tuple[str, str]] = {
    "beginning": (
        "A phone call by an agent, from sign-in to transcript. It all happens here; nobody is called.",
        "Una llamada de un agente, desde el inicio de sesión hasta la transcripción. Todo ocurre en este equipo; no se "
        "llama a nadie.",
    ),
    "failed": ("The demo failed: {reason}", "La demostración falló: {reason}"),
    "all_well": ("Each answer was what it should be.", "Cada respuesta fue la que debía ser."),
    "install": (
        "Next: `kallyai-mcp install` adds it to your client; with --sandbox it needs no account.",
        "Después: `kallyai-mcp install` lo añade a tu cliente; con --sandbox no hace falta una cuenta.",
    ),
    "verbose": (
        "`kallyai-mcp demo --verbose` shows what the agent sends and reads.",
        "`kallyai-mcp demo --verbose` muestra lo que el agente envía y lee.",
    ),
    # The steps
    "sandbox": ("A local KallyAI starts: the sandbox", "Se inicia un KallyAI local: el entorno de pruebas"),
    "speed": (
        "{url}, calls {speed} times as fast as real ones",
        "{url}, con llamadas {speed} veces más rápidas que las reales",
    ),
    "sign_in": (
        "You sign in through the browser; here, a program does this for you",
        "Inicias sesión en el navegador; aquí lo hace un programa por ti",
    ),
    "signed_in": ("signed in as {who}", "sesión iniciada como {who}"),
    "last_page": ("the browser's last page: {page}", "última página del navegador: {page}"),
    "server": ("Your agent's client starts the server", "El cliente de tu agente inicia el servidor"),
    "tools": ("{count} tools: {names}", "{count} herramientas: {names}"),
    "book": (
        "You say: Book a table for 4 at Italian Bistro on Friday at 7 PM, by the window. I am Demo Guest.",
        "Dices: Reserva una mesa para 4 en Italian Bistro el viernes a las 7 de la tarde, junto a la ventana. Soy Demo "
        "Guest.",
    ),
    "book_task": ("Book a table by the window", "Reservar una mesa junto a la ventana"),
    "calling": ("Calling Italian Bistro", "Llamando a Italian Bistro"),
    "said": ("What was said", "Lo que se dijo"),
    "event": ("The appointment, for your calendar", "La cita, para tu calendario"),
    "event_is": (
        "{what}, {when}; and the same as an .ics file",
        "{what}, {when}; y lo mismo como archivo .ics",
    ),
    "around": (
        "You say: Find a table for 2 on Friday at 8 PM at one of these three",
        "Dices: Busca una mesa para 2 el viernes a las 8 de la noche en uno de estos tres",
    ),
    "around_task": ("Book a table", "Reservar una mesa"),
    "one_after_another": ("Calling one after another", "Llamando a uno tras otro"),
    "is_busy": ("{name}: busy, so the next one is called.", "{name}: línea ocupada, así que se llama al siguiente."),
    "answered": ('{name}: answered. KallyAI: "{said}"', '{name}: contestaron. KallyAI: "{said}"'),
    "decide": (
        "Nobody else is called before you have decided: somebody talked, and may have booked.",
        "No se llama a nadie más hasta que decidas: alguien habló y quizá reservó.",
    ),
    "go_on": ("You say: Nothing was booked, so go on", "Dices: No se reservó nada, así que continúa"),
    "is_booked": ("{name}: {booked}. Nobody else is called.", "{name}: {booked}. No se llama a nadie más."),
    "booked": ("booked", "reservado"),
    "do_not_call": (
        "You ask for a call to a number that is on the do-not-call list",
        "Pides una llamada a un número que está en la lista de personas que no quieren llamadas",
    ),
    "hours_task": ("Ask for the opening hours", "Preguntar el horario"),
    "not_called": ("Not called", "No se llamó"),
    "is_listed": (
        "{not_called}: the number is on the do-not-call list ({code}).",
        "{not_called}: el número está en esa lista ({code}).",
    ),
    "cost": ("What it cost", "Lo que costó"),
    "counted": (
        "{count} calls counted ({minutes} min), the refused one not.",
        "Se contaron {count} llamadas ({minutes} min), pero no la rechazada.",
    ),
    "new_period": (
        "A new billing period began during the call, so the figures start again.",
        "Durante la llamada comenzó otro periodo de facturación, así que las cifras empiezan de nuevo.",
    ),
    "left": (
        "{calls} of {all_calls} calls and {minutes} of {all_minutes} minutes are left.",
        "Quedan {calls} de {all_calls} llamadas y {minutes} de {all_minutes} minutos.",
    ),
}

sentence = partial(say_from, _SENTENCES)
