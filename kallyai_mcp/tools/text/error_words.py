"""What happened and what to do, for each error: in English, and in Spanish."""

from typing import NamedTuple


class Explanation(NamedTuple):
    """What happened and what to do, without the period; in English and Spanish."""

    happened: str
    todo: str
    ocurrido: str
    accion: str


EXPLANATIONS: dict[str, Explanation] = {
    "missing_phone_number": Explanation(
        "the call has no phone number",
        "Give respondent_phone in E.164, as +14155551234",
        "la llamada no tiene número de teléfono",
        "Indica respondent_phone en E.164, como +34911234567",
    ),
    "emergency_number": Explanation(
        "KallyAI cannot call emergency services",
        "Tell the user to dial the number themselves, now",
        "KallyAI no puede llamar a los servicios de emergencia",
        "Dile al usuario que marque el número él mismo, ya",
    ),
    "toll_number": Explanation(
        "this is a premium-rate number",
        "Do not try again; ask the user for an ordinary number",
        "es un número de tarificación adicional",
        "No lo intentes otra vez; pide al usuario un número normal",
    ),
    "blocked_number": Explanation(
        "this number is flagged as fraud",
        "Do not try again; tell the user",
        "este número está marcado como fraudulento",
        "No lo intentes otra vez; díselo al usuario",
    ),
    "suppression_violation": Explanation(
        "this number is on the do-not-call list",
        "Do not try again; ask the user for another way to reach them",
        "este número está en la lista de personas que no quieren llamadas",
        "No lo intentes otra vez; pide al usuario otra forma de contacto",
    ),
    "phone_not_provisioned": Explanation(
        "this account has no line to call from yet",
        "The user sets one up at KallyAI",
        "esta cuenta aún no tiene una línea desde la que llamar",
        "El usuario la activa en KallyAI",
    ),
    "safety_violation": Explanation(
        "KallyAI's guidelines do not allow what was to be said",
        "Do not try again in other words; tell the user",
        "las normas de KallyAI no permiten lo que se iba a decir",
        "No lo intentes con otras palabras; díselo al usuario",
    ),
    "scheduling_violation": Explanation(
        "KallyAI does not accept the date or time",
        "Ask the user for another date or time",
        "KallyAI no acepta la fecha o la hora",
        "Pide al usuario otra fecha u otra hora",
    ),
    "not_agreed": Explanation(
        "the user was asked and did not agree to this call",
        "Do not place it unless the user asks for it",
        "se preguntó al usuario y no aceptó esta llamada",
        "No la hagas si el usuario no la pide",
    ),
    "details_not_given": Explanation(
        "the user was asked for the missing details and did not give them",
        "Ask them in words, or do not call",
        "se pidieron al usuario los datos que faltan y no los dio",
        "Pregúntaselos tú o no llames",
    ),
    "expired": Explanation(
        "this program did not run when the call was due, and a call is never placed late",
        "Ask the user whether to call now or at another time",
        "este programa no estaba en marcha cuando tocaba la llamada, y nunca se llama tarde",
        "Pregunta al usuario si se llama ahora o en otro momento",
    ),
    "signed_out_when_due": Explanation(
        "nobody was signed in to KallyAI when the call was due, and a call is never placed late",
        "Ask the user whether to sign in and call now",
        "no había sesión iniciada en KallyAI cuando tocaba la llamada, y nunca se llama tarde",
        "Pregunta al usuario si inicia sesión y se llama ahora",
    ),
    "other_account_when_due": Explanation(
        "another account was signed in when the call was due, and a call is never placed late",
        "Ask the user whether to call now, and on which account",
        "otra cuenta tenía la sesión iniciada cuando tocaba la llamada, y nunca se llama tarde",
        "Pregunta al usuario si se llama ahora y con qué cuenta",
    ),
    "clock_wrong_when_due": Explanation(
        "the clock of this machine was wrong when the call was due, and a call is never placed early or late",
        "Tell the user to set the clock, and ask whether to call now",
        "el reloj de este equipo no iba bien cuando tocaba la llamada, y nunca se llama antes ni después",
        "Di al usuario que ponga el reloj en hora y pregunta si se llama ahora",
    ),
    "cannot_schedule": Explanation(
        "this server can place calls only while their user asks, because it has no sign-in of its own",
        "Call make_call at the time itself, without not_before and retries",
        "este servidor solo puede llamar mientras el usuario lo pide, porque no tiene una sesión propia",
        "Usa make_call cuando llegue el momento, sin not_before ni retries",
    ),
    "is_a_list": Explanation(
        "that is a list of call_around, not a call",
        "get_call with it shows its calls and their ids",
        "eso es una lista de call_around, no una llamada",
        "get_call con ese id muestra sus llamadas y los id de ellas",
    ),
    "call_scheduled": Explanation(
        "the call has not been placed yet",
        "get_call says when it is due",
        "la llamada aún no se hizo",
        "get_call dice cuándo toca",
    ),
    "consent_denied": Explanation(
        "consent to the call was declined",
        "Do not try again unless the user agrees to the call",
        "no se dio el consentimiento para la llamada",
        "No lo intentes otra vez si el usuario no acepta la llamada",
    ),
    "country_restriction": Explanation(
        "this account may not call that country",
        "Tell the user; no number there will work",
        "esta cuenta no puede llamar a ese país",
        "Díselo al usuario; ningún número de allí funcionará",
    ),
    "unsupported_country": Explanation(
        "KallyAI does not call that country",
        "Tell the user; no number there will work",
        "KallyAI no llama a ese país",
        "Díselo al usuario; ningún número de allí funcionará",
    ),
    "unsupported_language": Explanation(
        "KallyAI does not speak that language",
        'Use call_language "en" or "es"',
        "KallyAI no habla ese idioma",
        'Usa call_language "en" o "es"',
    ),
    "budget_exceeded": Explanation(
        "the budget of this account is used up",
        "The user can raise it at KallyAI",
        "el presupuesto de esta cuenta está agotado",
        "El usuario puede subirlo en KallyAI",
    ),
    "budget_approval_required": Explanation(
        "somebody must approve this spending at KallyAI",
        "Ask the user to approve it there",
        "alguien tiene que aprobar este gasto en KallyAI",
        "Pide al usuario que lo apruebe allí",
    ),
    "soft_cap_reached": Explanation(
        "the spending cap of this account is reached",
        "The user can raise it at KallyAI",
        "se alcanzó el límite de gasto de esta cuenta",
        "El usuario puede subirlo en KallyAI",
    ),
    "call_not_found": Explanation(
        "KallyAI knows no call by that id",
        "list_calls shows the ids",
        "KallyAI no conoce ninguna llamada con ese identificador",
        "list_calls muestra los identificadores",
    ),
    "transcript_not_found": Explanation(
        "there is no transcript of that call",
        "get_call has its outcome",
        "no hay transcripción de esa llamada",
        "get_call tiene su resultado",
    ),
    "recording_not_found": Explanation(
        "there is no recording of that call",
        "get_call has its outcome",
        "no hay grabación de esa llamada",
        "get_call tiene su resultado",
    ),
    "no_calendar_event": Explanation(
        "KallyAI has no confirmed calendar event for that call",
        "get_call has its outcome",
        "KallyAI no tiene ningún evento de calendario confirmado de esa llamada",
        "get_call tiene su resultado",
    ),
    "call_in_progress": Explanation(
        "that call is still in progress",
        "get_call follows it to its end",
        "esa llamada sigue en curso",
        "get_call la sigue hasta el final",
    ),
    "outcome_unknown": Explanation(
        "the outcome of that call is unknown",
        "get_call looks once more",
        "el resultado de esa llamada es desconocido",
        "get_call vuelve a mirar",
    ),
    "canceled": Explanation(
        "the call was canceled before it was placed",
        "Place it again only if the user asks for it",
        "la llamada se canceló antes de hacerse",
        "Hazla de nuevo solo si el usuario la pide",
    ),
    "too_late": Explanation(
        "the request could not be sent in time, so it was not sent",
        "make_call places it again",
        "la solicitud no pudo enviarse a tiempo, así que no se envió",
        "make_call la hace de nuevo",
    ),
    "not_sent": Explanation(
        "the program was stopped before the request was sent",
        "make_call places it again",
        "el programa se detuvo antes de enviar la solicitud",
        "make_call la hace de nuevo",
    ),
    "account_changed": Explanation(
        "someone else signed in before the request was sent",
        "Ask the user which account to use",
        "otra persona inició sesión antes de enviar la solicitud",
        "Pregunta al usuario qué cuenta quiere usar",
    ),
    "ledger_unavailable": Explanation(
        "this program's record of calls cannot be used, so no call may be placed",
        "Tell the user; `kallyai-mcp doctor` says more",
        "el registro de llamadas de este programa no se puede usar, así que no se puede llamar",
        "Díselo al usuario; `kallyai-mcp doctor` dice más",
    ),
    "consent_outdated": Explanation(
        "this number was called meanwhile, or the confirmation was used already",
        "Call make_call again; it asks the user again",
        "mientras tanto se llamó a este número o la confirmación ya se usó",
        "Llama otra vez a make_call; vuelve a preguntar al usuario",
    ),
    "forbidden": Explanation(
        "the sign-in lacks the permission for this",
        "Ask the user to sign in again and allow it",
        "la sesión no tiene permiso para esto",
        "Pide al usuario que inicie sesión otra vez y lo permita",
    ),
    "idempotency_key_reused": Explanation(
        "KallyAI has seen this request's key with other content",
        "Call make_call again",
        "KallyAI ya vio la clave de esta solicitud con otro contenido",
        "Llama otra vez a make_call",
    ),
    "connection_failed": Explanation(
        "KallyAI cannot be reached, and nothing was sent",
        "It is safe to try again in a minute",
        "no se puede conectar con KallyAI y no se envió nada",
        "Puedes intentarlo otra vez en un minuto",
    ),
    # Kinds of errors, for codes that are not listed
    "answer_lost": Explanation(
        "the connection to KallyAI broke before the answer came",
        "It is safe to try again",
        "la conexión con KallyAI se cortó antes de la respuesta",
        "Puedes intentarlo otra vez",
    ),
    "unreadable_answer": Explanation(
        "KallyAI's answer cannot be read",
        "Try again once; if it stays so, tell the user",
        "la respuesta de KallyAI no se puede leer",
        "Inténtalo una vez más; si sigue así, díselo al usuario",
    ),
    "not_found": Explanation(
        "KallyAI finds nothing there",
        "list_calls shows the ids",
        "KallyAI no encuentra nada ahí",
        "list_calls muestra los identificadores",
    ),
    "bot_check": Explanation(
        "KallyAI's bot check answered with a web page instead of the API",
        "The user can set KALLYAI_USER_AGENT to a name that KallyAI accepts, or ask KallyAI's support",
        "la protección contra bots de KallyAI respondió con una página web",
        "El usuario puede poner en KALLYAI_USER_AGENT un nombre que KallyAI acepte, o preguntar a su soporte",
    ),
    "rate_limited": Explanation(
        "KallyAI gets too many requests",
        "Try again {pause}",
        "KallyAI recibe demasiadas solicitudes",
        "Inténtalo otra vez {pause}",
    ),
    "unavailable": Explanation(
        "KallyAI does not work at the moment",
        "Try again in a minute",
        "KallyAI no funciona en este momento",
        "Inténtalo otra vez en un minuto",
    ),
    "unauthorized": Explanation(
        "KallyAI does not accept the sign-in",
        "sign_in gives the link that signs in",
        "KallyAI no acepta la sesión",
        "sign_in da el enlace para iniciar sesión",
    ),
    "service_error": Explanation(
        "KallyAI refused",
        "Its own words follow: change the arguments, or tell the user",
        "KallyAI no aceptó la solicitud",
        "A continuación dice por qué: cambia los argumentos o díselo al usuario",
    ),
}
"""By code: of the reference, of the live service, and of this program."""
