"""The sentences about calls, in English and Spanish."""

from functools import partial

from kallyai_mcp.tools.text.plain import say_from

_SENTENCES: dict[str, tuple[str, str]] = {
    "the_number": ("the number", "el número"),
    # What was booked
    "table_for": ("table for {count}", "mesa para {count} personas"),
    "table_for_1": ("table for 1", "mesa para 1 persona"),
    "table": ("table", "mesa"),
    "room_for": ("room for {count}", "habitación para {count} personas"),
    "room_for_1": ("room for 1", "habitación para 1 persona"),
    "room": ("room", "habitación"),
    "appointment": ("appointment", "cita"),
    "there": ("{moment} there", "{moment} (hora de allí)"),
    "time_of": ("{moment} {place} time", "{moment} (hora de {place})"),
    "at": ("{thing} at {party}", "{thing} en {party}"),
    # Outcomes
    "booked": ("Booked: {what}{when}.", "Reservado: {what}{when}."),
    "booked_other_time": (
        "Booked for another time: {when}; you asked for {asked}. {party}.",
        "Reservado para otro momento: {when}; pediste {asked}. {party}.",
    ),
    "tell_now": ("Tell the user now and ask if that works.", "Díselo ya al usuario y pregúntale si le va bien."),
    "unconfirmed": (
        "The calendar event does not confirm this: {what}.",
        "El evento de calendario no confirma esto: {what}.",
    ),
    "people": ("{count} people", "{count} personas"),
    "people_1": ("1 person", "1 persona"),
    "answered": ("Answered: {party}{lasted}.", "Contestaron: {party}{lasted}."),
    "calendar_not_known": (
        "Whether an appointment was made is not known: no calendar file shows it. get_call asks again.",
        "No se sabe si se acordó una cita: ningún archivo de calendario lo muestra. get_call vuelve a preguntar.",
    ),
    "calendar_not_asked": (
        "Whether an appointment was made is not known.",
        "No se sabe si se acordó una cita.",
    ),
    "id_not_usable": (
        "this id can't be sent to KallyAI, so nothing more can be read with it",
        "este id no se puede enviar a KallyAI, así que no se puede pedir nada más con él",
    ),
    "no_answer": ("Not reached: no answer at {party}{after}.", "Sin contacto: no contestaron en {party}{after}."),
    "busy": ("Not reached: the line of {party} was busy.", "Sin contacto: la línea de {party} estaba ocupada."),
    "voicemail": ("Not reached: voicemail at {party}{after}.", "Sin contacto: buzón de voz de {party}{after}."),
    "time_there": ("It is {time} there.", "Hora allí: {time}."),
    "may_call_again": ("You may call again later.", "Puedes volver a llamar más tarde."),
    "failed": ("Failed: the call to {party} failed{after}.", "Fallida: la llamada a {party} falló{after}."),
    "terminated": (
        "Failed: KallyAI ended the call to {party} early{after}.",
        "Fallida: KallyAI terminó antes de tiempo la llamada a {party}{after}.",
    ),
    "nothing_agreed": ("Take nothing as agreed.", "No des nada por acordado."),
    "may_be_agreed": (
        "Somebody may have talked and agreed to something: read get_transcript, and ask the user before another call.",
        "Quizá se habló con alguien y se acordó algo: lee get_transcript y pregunta al usuario antes de otra llamada.",
    ),
    "contradicted": (
        "Unknown: KallyAI gives the call to {party} the status {status}, but shows an appointment or words of the "
        "callee.",
        "Resultado desconocido: KallyAI da a la llamada a {party} el estado {status}, pero muestra una cita o palabras "
        "de allí.",
    ),
    "canceled": (
        "Canceled: the call to {party} was canceled{after}.",
        "Cancelada: la llamada a {party} se canceló{after}.",
    ),
    "no_status": (
        "Unknown: KallyAI does not say how the call to {party} ended.",
        "Resultado desconocido: KallyAI no dice cómo terminó la llamada a {party}.",
    ),
    "odd_status": (
        "Unknown: KallyAI gives the call to {party} the status {status}, which this program does not know.",
        "Resultado desconocido: KallyAI da a la llamada a {party} el estado {status}, que este programa no conoce.",
    ),
    "unknown_lost": (
        "Unknown: the connection broke after the request was sent, so {party} may have been called. {check}",
        "Resultado desconocido: la conexión se cortó después de enviar la solicitud, así que quizá se llamó a "
        "{party}. {check}",
    ),
    "unknown": (
        "Unknown: no usable answer came after the request was sent, so {party} may have been called. {check}",
        "Resultado desconocido: después de enviar la solicitud no llegó una respuesta útil, así que quizá se llamó a "
        "{party}. {check}",
    ),
    "check_first": (
        'Check with get_call "{id}" and list_calls before anything else; do not place the call again. If the user '
        "wants a second call on purpose: redial=true.",
        'Comprueba antes que nada con get_call "{id}" y list_calls; no repitas la llamada. Si el usuario quiere una '
        "segunda llamada a propósito: redial=true.",
    ),
    # A call that goes on
    "in_progress": (
        "In progress: the call to {party} has lasted {elapsed}.",
        "En curso: la llamada a {party} dura ya {elapsed}.",
    ),
    "in_progress_status": (
        "In progress: KallyAI gives the call to {party} the status {status}{since}.",
        "En curso: KallyAI da a la llamada a {party} el estado {status}{since}.",
    ),
    "open_status": (
        "Unknown: KallyAI gives the call to {party} the status {status}, which this program does not know{since}.",
        "Resultado desconocido: KallyAI da a la llamada a {party} el estado {status}, que este programa no "
        "conoce{since}.",
    ),
    "since": (" {elapsed} after it was placed", " {elapsed} después de hacerse"),
    "since_then": (", {elapsed} after it was placed", ", {elapsed} después de hacerse"),
    "may_go_on": ("It may go on; do not place it again.", "Puede que siga; no la repitas."),
    "in_progress_duplicate": (
        "In progress already; no new call was placed. The call to {party} has lasted {elapsed}.",
        "Ya en curso; no se hizo otra llamada. La llamada a {party} dura ya {elapsed}.",
    ),
    "in_progress_lost": (
        "In progress: the connection broke, and whether {party} was called is being checked ({elapsed} so far).",
        "En curso: la conexión se cortó y se está comprobando si se llamó a {party} ({elapsed} hasta ahora).",
    ),
    "not_placed_yet": (
        "Not placed yet: {why}. This program tries until {until} at the latest and then gives up; do not place the "
        "call again.",
        "Aún sin llamar: {why}. Este programa lo intenta como máximo hasta {until}; no repitas la llamada.",
    ),
    "not_reachable": ("KallyAI can't be reached", "no se puede contactar con KallyAI"),
    "no_connection": ("there is no connection to KallyAI so far", "todavía no hay conexión con KallyAI"),
    "continues": ("It continues without you; do not place it again.", "Sigue sin ti; no la repitas."),
    "so_far": ("{party}: {elapsed} so far", "{party}: {elapsed} hasta ahora"),
    "next": ('Next: get_call with call_id "{id}"{waiting}.', 'Después: get_call con call_id "{id}"{waiting}.'),
    "waiting": (" and wait_seconds {wait:g}", " y wait_seconds {wait:g}"),
    "task": (
        "The call to {party} is in progress, {elapsed} so far.",
        "La llamada a {party} está en curso, lleva {elapsed}.",
    ),
    "task_lost": (
        "The connection broke; whether {party} was called is being checked, {elapsed} so far.",
        "La conexión se cortó; se está comprobando si se llamó a {party}, lleva {elapsed}.",
    ),
    "task_joined": (
        "No new call was placed: the same call is in progress already.",
        "No se hizo otra llamada: esta misma ya está en curso.",
    ),
    "task_no_end": (
        "tasks/cancel can't end a phone call that was placed: it goes on to its end.",
        "tasks/cancel no puede terminar una llamada ya hecha: sigue hasta el final.",
    ),
    "task_canceled": ("The call was canceled before it was placed.", "La llamada se canceló antes de hacerse."),
    # A call that was asked for again
    "already": (
        "Already called {ago}; no new call was placed. To call again on purpose: redial=true.",
        "Ya se llamó {ago}; no se hizo otra llamada. Para volver a llamar a propósito: redial=true.",
    ),
    "was_in_progress": (
        "This call was already in progress and has now ended; no new call was placed.",
        "Esta llamada ya estaba en curso y terminó; no se hizo otra.",
    ),
    # KallyAI's words, and what to read next
    "no_summary": ("KallyAI gave no summary.", "KallyAI no dio un resumen."),
    "suggests": ("KallyAI suggests: {said}", "KallyAI sugiere: {said}"),
    "lasted": (", {duration}", ", {duration}"),
    "after": (" after {duration}", " tras {duration}"),
    "few_left": ("Only {left} left.", "Solo quedan {left}."),
}

say = partial(say_from, _SENTENCES)
