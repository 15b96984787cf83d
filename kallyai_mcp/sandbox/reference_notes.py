"""What the sandbox does where the reference says nothing; `/docs` shows it."""

BEYOND_THE_REFERENCE = {
    "en": (
        "Two statuses are not in the reference: `in_progress` until the call has ended, and `terminated` when the"
        " service ended it. While a call is in progress, `highlights`, `next_steps`, and `duration_seconds` are null.",
        "`POST /v1/calls` answers when the call has ended. A client that disconnects does not end the call. The list"
        " and the details have the call from the moment it is placed.",
        "A request to `POST /v1/calls` with an OAuth client's token and no Idempotency-Key gets a generated key: the"
        " same client, account, and body are the same call until an hour after the call has ended. With the token of a"
        " first-party sign-in (CLI, Google, or Apple), every request without a key is a new call.",
        "An Idempotency-Key is a UUID. It belongs to the account and does not expire. With another body it is"
        " `idempotency_key_reused`, status 409.",
        "`session_id` is accepted and not used. Unknown fields beside `submission` are ignored; unknown fields in it"
        " are refused.",
        "Codes that are not in the reference: `validation_error`, `invalid_token`, `token_expired`, `not_found`,"
        " `method_not_allowed`, `conflict`, `idempotency_key_reused`, `phone_not_provisioned`, `rate_limited`,"
        " `service_unavailable`, and `internal_error`; at the sign-in `invalid_redirect_uri`, `sign_in_expired`,"
        " `unknown_account`, `account_not_found`, and the codes of RFC 6749.",
        "An error of status 402 has both the fields of QuotaExceededResponse and the standard `error`.",
        "A number that is not in E.164, or that its country can't have, is a `validation_error`; test numbers are"
        " exempt. A premium-rate prefix is a `toll_number`, whatever follows.",
        "A date or time is past if it is past in the request's `timezone`. An appointment may be up to 366 days ahead.",
        "A call costs its length, rounded up to a tenth of a minute, whatever its status, and counts from the moment"
        " it is placed. The last call of a period may exceed the minutes.",
        "The statistics count by calendar month, on a yearly plan by year. A subscription renews or ends on the 22nd"
        " of a month, on a yearly plan on January 22.",
        "The list is newest first. `total` counts the calls of all pages. `business_name` is left out if none was"
        " sent.",
        "`GET /v1/calls/{call_id}/calendar.ics` answers `not_found`, status 404, if no appointment with a date was"
        " agreed.",
        "The responses of the token endpoints have `token_type`, which RFC 6749 requires. An access token is valid for"
        " an hour, a refresh token for 90 days and for one use; a second use revokes the whole sign-in.",
        "A sign-in that the user cancels redirects with `error=access_denied`. An error that can't be sent to a"
        " `redirect_uri` is a page in a browser, and JSON for other clients.",
        "The billing link works for an hour and needs no token.",
    ),
    "es": (
        "Dos estados no están en la referencia: `in_progress` hasta que la llamada termina, y `terminated` cuando la"
        " terminó el servicio. Mientras una llamada está en curso, `highlights`, `next_steps` y `duration_seconds` son"
        " null.",
        "`POST /v1/calls` responde cuando la llamada terminó. Un cliente que se desconecta no termina la llamada. La"
        " lista y los detalles tienen la llamada desde el momento en que se hace.",
        "Una solicitud a `POST /v1/calls` con el token de un cliente OAuth y sin Idempotency-Key recibe una clave"
        " generada: el mismo cliente, cuenta y cuerpo son la misma llamada hasta una hora después de que termine. Con"
        " el token de un inicio de sesión propio (CLI, Google o Apple), cada solicitud sin clave es otra llamada.",
        "Una Idempotency-Key es un UUID. Es de la cuenta y no caduca. Con otro cuerpo es `idempotency_key_reused`,"
        " estado 409.",
        "`session_id` se acepta y no se usa. Los campos desconocidos junto a `submission` se pasan por alto; los que"
        " están dentro se rechazan.",
        "Códigos que no están en la referencia: `validation_error`, `invalid_token`, `token_expired`, `not_found`,"
        " `method_not_allowed`, `conflict`, `idempotency_key_reused`, `phone_not_provisioned`, `rate_limited`,"
        " `service_unavailable` e `internal_error`; en el inicio de sesión `invalid_redirect_uri`, `sign_in_expired`,"
        " `unknown_account`, `account_not_found` y los códigos de RFC 6749.",
        "Un error con estado 402 tiene los campos de QuotaExceededResponse y también el `error` habitual.",
        "Un número que no es E.164, o que su país no puede tener, es un `validation_error`; los números de prueba"
        " quedan exentos. Un prefijo de tarificación especial es un `toll_number`, siga lo que siga.",
        "Una fecha u hora ya pasó si pasó en la `timezone` de la solicitud. Una cita puede ser hasta 366 días después.",
        "Una llamada cuesta lo que dura, redondeado hacia arriba a décimas de minuto, sea cual sea su estado, y cuenta"
        " desde el momento en que se hace. La última llamada de un periodo puede superar los minutos.",
        "Las estadísticas cuentan por meses naturales, y en un plan anual por años. Una suscripción se renueva o"
        " termina el día 22 de un mes, y en un plan anual ese día de enero.",
        "La lista empieza por la llamada más reciente. `total` cuenta las llamadas de todas las páginas."
        " `business_name` falta si no se envió.",
        "`GET /v1/calls/{call_id}/calendar.ics` responde `not_found`, estado 404, si no se acordó una cita con fecha.",
        "Las respuestas de las rutas de tokens tienen `token_type`, que RFC 6749 exige. Un token de acceso vale una"
        " hora; uno de renovación, 90 días y un solo uso; un segundo uso revoca todo el inicio de sesión.",
        "Un inicio de sesión que el usuario cancela vuelve con `error=access_denied`. Un error que no se puede enviar a"
        " una `redirect_uri` es una página en un navegador, y JSON para otros clientes.",
        "El enlace de facturación vale una hora y no necesita token.",
    ),
}
"""One choice per item, by language."""
